// What the chapter does with a database: as its owner, and as whoever has been given a credential.
import pg from 'pg'

export async function sql(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const result = await client.query(text)
    return Array.isArray(result) ? [] : result.rows
  } finally {
    await client.end()
  }
}

/** The role that this URL logs in as. Throws where it is refused. */
export async function roleThatLogsIn(url: string): Promise<string> {
  const [row] = await sql(url, 'select current_user as role')
  return String(row?.['role'])
}
