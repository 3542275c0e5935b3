import type { CancelTimer } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { type Duration, type Instant, SECOND } from '../../lib/time.ts'
import type { ApiKey, Principal } from '../../model/access.ts'
import type { Ports } from '../ports.ts'
import type { Keys } from './keys.ts'
import { digest } from './tokens.ts'

/** Tells whose token it is, for tokens that others issue. */
export interface TokenVerifier {
  /** @returns `null` for a token it does not vouch for. */
  verify(token: string): Promise<Principal | null>
}

export interface AuthenticatorOptions {
  /** Keys from the configuration. Each has the role `admin`. */
  readonly staticKeys: readonly string[]
  /** For JSON Web Tokens; `null` without an issuer. */
  readonly verifier: TokenVerifier | null
  /** Lets everybody in as `admin`. */
  readonly disabled: boolean
}

/** Another server may have voided a key; a known key is looked up again after this time. */
const KNOWN_FOR: Duration = 5 * SECOND
const NOTE_USES_EVERY: Duration = 30 * SECOND
const KNOWN_AT_MOST = 10_000

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

const EVERYBODY: Principal = { name: 'anybody', role: 'admin', queues: null }

interface Known {
  readonly key: ApiKey
  readonly principal: Principal
  readonly until: Instant
}

/** Turns credentials into principals. */
export class Authenticator extends Service {
  readonly #ports: Ports
  readonly #options: AuthenticatorOptions
  readonly #static: ReadonlyMap<string, Principal>
  readonly #known = new Map<string, Known>()
  readonly #uses = new Map<string, Instant>()
  #cancelTimer: CancelTimer = () => {}

  constructor(ports: Ports, keys: Keys, options: AuthenticatorOptions) {
    super()
    this.#ports = ports
    this.#options = options
    this.#static = new Map(options.staticKeys.map((key) => [digest(key), { name: 'static key', role: 'admin', queues: null }]))
    keys.onChange(() => this.#known.clear())
  }

  /** @returns `null` if the credential is missing or void. */
  authenticate(token: string | null): Principal | null | Promise<Principal | null> {
    if (this.#options.disabled) return EVERYBODY
    if (token === null || token === '') return null
    const hash = digest(token)
    const fixed = this.#static.get(hash)
    if (fixed !== undefined) return fixed
    const now = this.#ports.clock.now()
    const known = this.#known.get(hash)
    if (known !== undefined && known.until > now && !isExpired(known.key, now)) {
      this.#uses.set(known.key.id, now)
      return known.principal
    }
    return this.#lookUp(token, hash, now)
  }

  protected override onStart(): void {
    this.#cancelTimer = this.#ports.clock.after(NOTE_USES_EVERY, () => {
      void this.#noteUses().finally(() => {
        if (this.running) this.onStart()
      })
    })
  }

  protected override async onStop(): Promise<void> {
    this.#cancelTimer()
    await this.#noteUses()
  }

  async #lookUp(token: string, hash: string, now: Instant): Promise<Principal | null> {
    const key = await this.#ports.storage.access.findByHash({ hash })
    if (key === null) return JWT.test(token) ? ((await this.#options.verifier?.verify(token)) ?? null) : null
    if (isExpired(key, now)) return null
    // With the id, since several keys may have the same name.
    const principal: Principal = { name: `key ${key.name} (${key.id})`, role: key.role, queues: key.queues }
    if (this.#known.size >= KNOWN_AT_MOST) this.#known.clear()
    this.#known.set(hash, { key, principal, until: now + KNOWN_FOR })
    this.#uses.set(key.id, now)
    return principal
  }

  async #noteUses(): Promise<void> {
    if (this.#uses.size === 0) return
    const uses = [...this.#uses].map(([id, at]) => ({ id, at }))
    this.#uses.clear()
    await this.#ports.storage.access
      .touch({ uses })
      .catch((error) => this.#ports.logger.warn({ err: error }, 'the last use of API keys was not noted'))
  }
}

const isExpired = ({ expiresAt }: ApiKey, now: Instant): boolean => expiresAt !== null && expiresAt <= now
