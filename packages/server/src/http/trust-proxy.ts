import { BlockList, isIP } from 'node:net'
import type { HttpOptions } from './context.ts'

/**
 * Whether what a proxy says of its client is believed.
 * @param hop how far away the proxy is; 0 is the other end of the connection.
 */
export type Trust = (address: string, hop: number) => boolean

/** Fastify takes a number of hops for nobody at all, so what the setting means is spelt out here. */
export function toTrust(trustProxy: HttpOptions['trustProxy']): Trust {
  if (typeof trustProxy === 'boolean') return () => trustProxy
  if (typeof trustProxy === 'number') return (_address, hop) => hop < trustProxy
  const networks = toNetworks(trustProxy)
  return (address) => {
    const version = isIP(address)
    return version !== 0 && networks.check(address, familyOf(version))
  }
}

/** @param items addresses and CIDRs. */
function toNetworks(items: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const item of items) {
    const [address = '', prefix] = item.split('/')
    const family = familyOf(isIP(address))
    if (prefix === undefined) networks.addAddress(address, family)
    else networks.addSubnet(address, Number(prefix), family)
  }
  return networks
}

const familyOf = (version: number): 'ipv4' | 'ipv6' => (version === 6 ? 'ipv6' : 'ipv4')
