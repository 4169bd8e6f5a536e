// RFC 9396 type `sql`: statements of some verbs on some tables of one schema.
import type { AuthorizationDetail, DetailType } from './detail.ts'
import { memberProblem, textList } from './members.ts'

interface Sql extends AuthorizationDetail {
  readonly database: string
  readonly schema: string
  readonly tables: readonly string[]
  readonly verbs: readonly string[]
}

const verbs: ReadonlySet<string> = new Set([
  ...['select', 'insert', 'update', 'delete', 'merge', 'truncate'],
  ...['create', 'alter', 'drop', 'grant', 'revoke'],
])

const maxTables = 64

/**
 * Tables are named one by one; there is no name that stands for all of them. An operation names one as
 * `database.schema.table`, in the very letters that the database has resolved them to.
 */
export const sql: DetailType = {
  type: 'sql',

  parse(value) {
    const problem = memberProblem(value, ['type', 'database', 'schema', 'tables', 'verbs'])
    if (problem !== undefined) return problem
    const { database, schema } = value
    if (!isName(database) || !isName(schema))
      return { problem: 'has a database or a schema that is no plain name' }
    const tables = textList(value['tables'], maxTables, isName)
    if (tables === undefined) return { problem: 'has tables that are no list of plain names' }
    const given = textList(value['verbs'], verbs.size, verb => verbs.has(verb))
    if (given === undefined) return { problem: 'has verbs that are no list of verbs in small letters' }
    return { type: 'sql', database, schema, tables, verbs: given }
  },

  contains(outer: Sql, inner: Sql) {
    return (
      outer.database === inner.database &&
      outer.schema === inner.schema &&
      inner.tables.every(table => outer.tables.includes(table)) &&
      inner.verbs.every(verb => outer.verbs.includes(verb))
    )
  },

  covers(detail: Sql, { action, object }) {
    if (object?.type !== 'sql' || !detail.verbs.includes(action)) return false
    const { database, schema } = detail
    return detail.tables.some(table => object.id === `${database}.${schema}.${table}`)
  },

  // A database is reached by its name alone, whatever the address of what stands before it.
  isAt: () => true,

  least({ action, object }) {
    if (object?.type !== 'sql') return undefined
    const [database, schema, table, ...others] = object.id.split('.')
    if (others.length > 0) return undefined
    const detail = sql.parse({ type: 'sql', database, schema, tables: [table], verbs: [action] })
    return 'type' in detail ? detail : undefined
  },
} as DetailType

// Without dots, quotes and letters outside ASCII, which look alike or are folded differently by some.
const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_$]{0,127}$/.test(value)
