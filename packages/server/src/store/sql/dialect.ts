// The differences between the SQL dialects, all of them: input rows, locks, column words, and kysely's compilers.
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type RawBuilder,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import type { Batches, ColumnType, Engine } from './engine/engine.ts'
import type { Tables } from './tables.ts'

export type Kind = Engine['kind']
export type Db = Kysely<Tables>

/** Words of the schema that differ; the migrations are written once over them. */
export interface Words {
  readonly text: string
  readonly int: string
  readonly bytes: string
  /** After the closing parenthesis of a table that is read by its whole key. */
  readonly keyed: string
  /** After the closing parenthesis of every other table. */
  readonly table: string
  /** The key of replay marks, and what else finds them; see `replay.ts`. */
  readonly markKey: string
  readonly markIndexes: readonly string[]
}

export const words: Readonly<Record<Kind, Words>> = {
  sqlite: {
    text: 'text',
    int: 'integer',
    bytes: 'blob',
    keyed: ' strict, without rowid',
    table: ' strict',
    markKey: 'until, tenant, key',
    markIndexes: [],
  },
  postgres: {
    // Bytes decide equality and order, as in SQLite: no locale may make two spellings one, or sort them elsewhere.
    text: 'text collate "C"',
    int: 'bigint',
    bytes: 'bytea',
    keyed: '',
    table: '',
    markKey: 'tenant, key',
    markIndexes: ['create index replay_marks_by_until on replay_marks (until)'],
  },
}

const arrays: Readonly<Record<ColumnType, string>> = { text: 'text[]', int: 'bigint[]', bytes: 'bytea[]' }

/** The input of a batch: on SQLite one row of parameters, on PostgreSQL one array for each column. */
function inputOf(kind: Kind, columns: Readonly<Record<string, ColumnType>>): RawBuilder<unknown> {
  const names = Object.keys(columns)
  if (kind === 'sqlite') {
    return sql`(select ${sql.join(names.map(name => sql`${null} as ${sql.ref(name)}`))}) as input`
  }
  const parameters = Object.values(columns).map(type => sql`${null}::${sql.raw(arrays[type])}`)
  return sql`unnest(${sql.join(parameters)}) as input(${sql.join(names.map(name => sql.ref(name)))})`
}

/** Compiles batches for one dialect. */
export function batchesOf(kind: Kind): Batches {
  const compiler = new Kysely<unknown>({
    dialect: { ...dialects[kind], createDriver: () => new DummyDriver() },
  })
  const batch: Batches['batch'] = (name, columns, build) => {
    const text = build(inputOf(kind, columns)).compile(compiler).sql.replace(/\s+/g, ' ').trim()
    return {
      name,
      columns: Object.values(columns),
      sql: text,
      returns: /\breturning\b|^select\b/.test(text),
    }
  }
  const insert: Batches['insert'] = (name, table, columns) => {
    const names = sql.join(Object.keys(columns).map(column => sql.ref(column)))
    const into = sql`insert into ${sql.table(table)} (${names})`
    if (kind === 'postgres') return batch(name, columns, input => sql`${into} select * from ${input}`)
    // Values straight into the row: a sub-select costs SQLite a sixth more for each of the many rows of a group.
    return batch(
      name,
      columns,
      () => sql`${into} values (${sql.join(Object.keys(columns).map(() => sql`${null}`))})`,
    )
  }
  return {
    batch,
    insert,
    forUpdate: kind === 'postgres' ? sql`for update` : sql``,
    forShare: kind === 'postgres' ? sql`for share` : sql``,
  }
}

const dialects: Readonly<Record<Kind, Omit<Dialect, 'createDriver'>>> = {
  sqlite: {
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: db => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
  postgres: {
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: db => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
}

/** The query builder for reads, over the engine. Transactions go through `Engine.transact` alone. */
export function openKysely(engine: Engine): Db {
  return new Kysely<Tables>({ dialect: { ...dialects[engine.kind], createDriver: () => driverOver(engine) } })
}

function driverOver(engine: Engine): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const { rows, changes } = await engine.query(query.sql, query.parameters)
      return { rows: rows as R[], numAffectedRows: BigInt(changes) }
    },
    // biome-ignore lint/correctness/useYield: the interface wants a generator; nothing of ours streams
    async *streamQuery() {
      throw new Error('the store does not stream')
    },
  }
  const refuse = async (): Promise<never> => {
    throw new Error('transactions go through the engine')
  }
  return {
    init: async () => {},
    acquireConnection: async () => connection,
    releaseConnection: async () => {},
    destroy: async () => {},
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
  }
}
