// Every root: to add one, add its file and a line here.
import { awsKms } from './aws-kms.ts'
import { file } from './file.ts'
import { passphrase } from './passphrase.ts'
import { pkcs11 } from './pkcs11.ts'
import { misspelt } from './refusals.ts'
import type { RootSealer, SealerKind, SealerSurroundings } from './sealer.ts'
import { transit } from './transit.ts'

export const sealers: readonly SealerKind[] = [file, passphrase, pkcs11, transit, awsKms]

/**
 * The root that the `sealer` setting names, such as `file:` or `transit:https://…`. Throws `invalid_value` for a setting
 * of no known form, `temporarily_unavailable` with `why.kind` `sealer_away` where the root cannot be reached, and
 * `server_error` where it was reached and cannot be used.
 */
export async function openSealer(setting: string, around: SealerSurroundings): Promise<RootSealer> {
  const colon = setting.indexOf(':')
  const kind = sealers.find(({ scheme }) => scheme === setting.slice(0, Math.max(colon, 0)))
  if (kind === undefined) {
    const known = sealers.map(({ scheme }) => `${scheme}:`).join(', ')
    throw misspelt(`The sealer has to begin with one of ${known}.`)
  }
  return kind.open(setting.slice(colon + 1), around)
}
