// Every kind of rotation: to add one, add its file and a line here.
import type { Kind } from '../kind.ts'
import { clientSecret } from './client-secret.ts'
import { instanceKey } from './instance-key.ts'
import { issuerKey } from './issuer-key.ts'
import { rootKey } from './root-key.ts'
import { secret } from './secret.ts'
import { tenantKey } from './tenant-key.ts'

export const kinds: readonly Kind[] = [clientSecret, instanceKey, issuerKey, secret, tenantKey, rootKey]
