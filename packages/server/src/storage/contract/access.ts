import type { Instant } from '../../lib/time.ts'
import type { ApiKey } from '../../model/access.ts'
import type { Page, PageRequest } from './page.ts'

/** API keys, known by the SHA-256 of their text. */
export interface AccessStore {
  create(params: { readonly key: ApiKey; readonly hash: string }): Promise<void>

  /** In order of id. */
  list(params: { readonly page: PageRequest<string> }): Promise<Page<ApiKey, string>>

  findByHash(params: { readonly hash: string }): Promise<ApiKey | null>

  /** Gives a key a new text; the old one is void at once. @throws `key_not_found` */
  rotate(params: { readonly id: string; readonly hash: string }): Promise<ApiKey>

  /** @throws `key_not_found` */
  delete(params: { readonly now: Instant; readonly id: string }): Promise<void>

  /** Notes when keys were last used. */
  touch(params: { readonly uses: readonly { readonly id: string; readonly at: Instant }[] }): Promise<void>
}
