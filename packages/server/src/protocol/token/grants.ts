// The table of grant types. Adding one is a file with a `GrantType` and a line here; metadata and parameters follow.
import { clientCredentials } from './client-credentials.ts'
import type { GrantType } from './grant.ts'

export const grantTypes: readonly GrantType[] = [clientCredentials]
