// What a database engine does for the store: single statements, and steps in one transaction. Two implement it.
import type { RawBuilder } from 'kysely'

export type Scalar = string | number | null | Uint8Array
export type ColumnType = 'text' | 'int' | 'bytes'

/** Rows as they come back: text, whole numbers, bytes. */
export type Row = Readonly<Record<string, Scalar>>

/**
 * One statement for any number of input rows. PostgreSQL runs it once for all of them (`unnest` of arrays), SQLite
 * once for each, prepared; so within one step no two input rows may concern the same stored row.
 */
export interface Batch {
  readonly name: string
  readonly columns: readonly ColumnType[]
  readonly sql: string
  /** Whether rows come back. */
  readonly returns: boolean
}

/** A batch over its rows, or a bare statement such as a savepoint. */
export type Step =
  | { readonly batch: Batch; readonly rows: readonly (readonly Scalar[])[] }
  | { readonly text: string }

/**
 * The body of a transaction: it yields steps that may be sent together and gets the rows of each. Written as a
 * generator, one algorithm runs straight through on SQLite and awaits its round trips on PostgreSQL.
 */
export type Steps<R> = Generator<readonly Step[], Finish<R>, readonly (readonly Row[])[]>

/** What the transaction yields once it is durable; its `last` steps, whose rows nobody needs, go with the COMMIT. */
export interface Finish<R> {
  readonly result: R
  readonly last?: readonly Step[]
}

export interface Engine {
  readonly kind: 'sqlite' | 'postgres'
  /** One statement by itself. Throws `Fault('temporarily_unavailable')` where the database cannot answer. */
  query(
    sql: string,
    parameters: readonly unknown[],
    name?: string,
  ): Promise<{ rows: readonly Row[]; changes: number }>
  /**
   * Runs the steps in one transaction and answers once it is durable. A violated constraint is thrown into the
   * generator as `Violation`, so that it can return to its savepoint. Serialization failures start it anew, invisibly.
   * Throws `Fault('temporarily_unavailable')` when nothing was changed, `Uncertain` when the connection broke during
   * the COMMIT, and any other error as it came; in that case too nothing was changed.
   */
  transact<R>(steps: () => Steps<R>): Promise<R>
  /** Whether it answers within a second. */
  ping(): Promise<boolean>
  close(): Promise<void>
}

/** A statement broke a constraint; `step` says which of those yielded together. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly step: number

  constructor(step: number, cause: unknown) {
    super('a constraint of the schema was violated', { cause })
    this.step = step
  }
}

/** The connection broke after COMMIT was sent and before it was answered. */
export class Uncertain<R> extends Error {
  override readonly name = 'Uncertain'
  readonly result: R

  constructor(result: R, cause: unknown) {
    super('the connection broke during the commit', { cause })
    this.result = result
  }
}

/** What an engine makes of its database's errors. */
export type Trouble = 'violation' | 'retry' | 'unavailable' | 'other'

/** Builds the batches of the engine's dialect once; see `Batch`. */
export interface Batches {
  /**
   * `sql` gets the input as a table expression named `input` with the given columns, to be put after FROM or USING.
   */
  batch(
    name: string,
    columns: Readonly<Record<string, ColumnType>>,
    sql: (input: RawBuilder<unknown>) => RawBuilder<unknown>,
  ): Batch
  /** Plain rows into a table; anything already there is an error. */
  insert(name: string, table: string, columns: Readonly<Record<string, ColumnType>>): Batch
  /** `for update` where rows can be locked. */
  readonly forUpdate: RawBuilder<unknown>
  /** `for share` where rows can be locked. */
  readonly forShare: RawBuilder<unknown>
}

/** The one step of a batch. */
export const step = (batch: Batch, rows: readonly (readonly Scalar[])[]): Step => ({ batch, rows })
