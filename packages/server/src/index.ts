// The public API of the server package: an authority in this process, with or without a socket.

import { quietSurroundings, type Surroundings } from './compose/surroundings.ts'
import { type Composed, compose } from './compose.ts'
import { type Config, readConfig } from './config.ts'

export type { Surroundings } from './compose/surroundings.ts'
export type { Composed } from './compose.ts'
export { type Config, ConfigProblem } from './config.ts'

/** Any of the configuration keys; what is left out takes its default. The environment is not read. */
export type ServerOptions = { readonly [K in keyof Config]?: Config[K] | undefined } & {
  /** What the server sees of the world; left out, it sees the real one. */
  readonly around?: Partial<Surroundings>
}

/**
 * An authority that answers `fetch`, for tests and for embedding. Throws ConfigProblem where the options cannot be made
 * safe.
 *
 * @example
 * const server = await createServer({ data: '/var/lib/writ', issuer: 'https://writ.example' })
 * const answer = await server.fetch(new Request('https://writ.example/.well-known/oauth-authorization-server'))
 */
export async function createServer({ around, ...options }: ServerOptions = {}): Promise<Composed> {
  const { config } = readConfig(options, {})
  const issuer = config.issuer ?? `http://127.0.0.1:${config.port}`
  return compose(config, issuer, { ...quietSurroundings, ...around })
}
