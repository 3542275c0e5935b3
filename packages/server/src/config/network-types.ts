import { BlockList, isIP, isIPv6 } from 'node:net'
import { splitList, type ValueType } from './value-types.ts'

const HOST_NAME = /^[a-z\d_]([a-z\d_.-]*[a-z\d_])?$/i

/** Where to listen. The replaced systems held a URL in its place, of which the host is taken. */
export const host: ValueType<string> = {
  expected: 'an IP address, a host name, or a URL with one',
  check(raw) {
    if (typeof raw !== 'string') return undefined
    const name = (raw.includes('://') ? (URL.parse(raw)?.hostname ?? '') : raw).replace(/^\[(.*)\]$/, '$1')
    return isIP(name) !== 0 || HOST_NAME.test(name) ? name.toLowerCase() : undefined
  },
  misfit: (raw) =>
    typeof raw === 'string' && /^[^:/\s]+:\d+$/.test(raw)
      ? `is "${raw}"; expected a host without a port. The port stands in server.port.`
      : null,
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether only programs of the same machine can reach a server that listens there. */
export function isLoopback(name: string): boolean {
  if (isIP(name) === 0) return name === 'localhost'
  return LOOPBACK.check(name, isIPv6(name) ? 'ipv6' : 'ipv4')
}

/** Kept as it is written, since an issuer must match the claim of its tokens to the letter. */
export const webUrl: ValueType<string> = {
  expected: 'an http:// or https:// URL without a user name and password',
  check(raw) {
    const url = typeof raw === 'string' ? URL.parse(raw) : null
    if (url === null || !/^https?:$/.test(url.protocol)) return undefined
    return url.username === '' && url.password === '' ? (raw as string) : undefined
  },
}

/** Origins as browsers send them: without a path, a default port or capital letters. */
export const origins: ValueType<readonly string[]> = {
  expected: 'origins such as https://app.example.com, separated by commas (in YAML also a list), or *',
  fromText: splitList,
  check: (raw) => checkList(raw, origin),
}

function origin(item: string): string | undefined {
  if (item === '*') return item
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/\s*?#@]+\/?$/i.test(item)) return undefined
  const url = URL.parse(item)
  if (url === null) return undefined
  // `URL` knows the origin of web addresses only; an app's, such as capacitor://localhost, needs no more than this.
  return url.origin === 'null' ? item.replace(/\/$/, '').toLowerCase() : url.origin
}

export type TrustProxy = boolean | number | readonly string[]

/** Whose `X-Forwarded-For` is believed. No hops is the same as false. */
export const trustProxy: ValueType<TrustProxy> = {
  expected: 'true, false, a number of hops from 0 to 32, or addresses and CIDRs, separated by commas (in YAML also a list)',
  fromText(text) {
    if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
    return /^\d+$/.test(text) ? Number(text) : splitList(text)
  },
  check(raw) {
    if (typeof raw === 'boolean' || raw === 0) return raw === true
    if (typeof raw === 'number') return Number.isInteger(raw) && raw > 0 && raw <= 32 ? raw : undefined
    const list = checkList(raw, (item) => (isNetwork(item) ? item : undefined))
    return list?.length === 0 ? false : list
  },
}

function isNetwork(item: string): boolean {
  const [, address, prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(item) ?? []
  const version = isIP(address ?? '')
  return version !== 0 && Number(prefix ?? 0) <= (version === 4 ? 32 : 128)
}

/** A list, or text with commas, of which every item fits. */
function checkList(raw: unknown, check: (item: string) => string | undefined): readonly string[] | undefined {
  const items: unknown = typeof raw === 'string' ? splitList(raw) : raw
  if (!Array.isArray(items)) return undefined
  const checked = items.map((item: unknown) => (typeof item === 'string' ? check(item) : undefined))
  return checked.every((item) => item !== undefined) ? checked : undefined
}
