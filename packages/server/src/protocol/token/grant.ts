// What a grant type is: it decides, and has nothing that writes. Ours and those to come are the same type.

import type { Ctx } from '../../context.ts'
import type { Issuance } from '../../domain/issuance.ts'
import type { Binding } from '../binding/dpop.ts'
import type { Proven } from '../client-auth/method.ts'
import type { Deps } from '../deps.ts'
import type { Form } from '../evidence.ts'

/** What a grant may use: it reads and asks; it has nothing that writes. */
export type Reads = Pick<Deps, 'settings'> & { readonly store: Pick<Deps['store'], 'facts'> }

export interface GrantRequest {
  readonly form: Form
  readonly proven: Proven
  readonly binding: Binding | undefined
  /** Past the memory: set when an earlier look may have been out of date. */
  readonly fresh: boolean
}

export interface GrantType {
  /** The value of `grant_type`. */
  readonly type: string
  /** Parameters that may come more than once; every other is refused when repeated. */
  readonly repeatable: readonly string[]
  /** Decides, and writes nothing. Throws a Fault for every no. */
  decide(ctx: Ctx, deps: Reads, request: GrantRequest): Promise<Issuance>
}
