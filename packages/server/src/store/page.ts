// Reads in general: which tenant they see, and the pages of a list.
import type { Ctx } from '../context.ts'

/** The scope of a read: every method sees the rows of this tenant and no others. */
export type Scope = Pick<Ctx, 'tenant'>

/** A page of a list, in the order of creation; `after` is the id of the last item seen. */
export interface PageRequest {
  readonly limit: number
  readonly after?: string
}

export interface Page<T> {
  readonly items: readonly T[]
  /** The `after` of the next page, or null at the end. */
  readonly next: string | null
}
