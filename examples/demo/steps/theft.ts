// Step 4: one request is stolen whole; from a process without the key it opens nothing, in none of three ways.
import { eventually, expectEqual, expectTrue } from '../check.ts'
import type { McpConnection } from '../mcp.ts'
import type { Say } from '../narrator.ts'
import type { Stage } from '../stage.ts'

type Met = Readonly<Record<'ownKey' | 'sameProof' | 'bearer', { status: number; error: string }>>

export async function steal({ mcp, wire, program }: Stage, server: McpConnection, say: Say): Promise<void> {
  let expiresAtMs = 0
  /** A request that was just answered with 200, by a token that lives long enough to be tried elsewhere. */
  const loot = async (): Promise<string> =>
    eventually('a request that is worth stealing', 10, async () => {
      expectEqual('the agent calls', await server.call('echo', { message: 'mine' }), 'Echo: mine')
      const { url, method, headers, body } = wire.last(mcp)
      expiresAtMs = (wire.tokens.get(headers['authorization']?.split(' ')[1] ?? '')?.expiresAt ?? 0) * 1000
      return expiresAtMs - Date.now() > 1500 ? JSON.stringify({ url, method, headers, body }) : undefined
    })

  const { code, stdout } = await program('thief', 'demo/thief/main.ts', { input: loot })
  say.fact('stolen', 'a whole request, just answered with 200: token and proof')
  expectEqual('the thief came to an end', code, 0)
  const met = JSON.parse(stdout.split('\n').at(-1) ?? '') as Met
  // Else each refusal might be one of age, and say nothing about theft.
  expectTrue('the token is still good', expiresAtMs > Date.now(), new Date(expiresAtMs))

  const told = ({ status, error }: Met['ownKey']): [number, string] => [status, error]
  expectEqual('token and another key', told(met.ownKey), [401, 'invalid_token'])
  say.fact('with own key', `401 invalid_token: it is bound to another key`)
  expectEqual('token and the same proof again', told(met.sameProof), [401, 'invalid_dpop_proof'])
  say.fact('same proof', `401 invalid_dpop_proof: it was used before`)
  expectEqual('token without a proof', told(met.bearer), [401, 'invalid_token'])
  say.fact('as bearer', '401 invalid_token: it is bound to a key')
  expectEqual('the agent calls on', await server.call('echo', { message: 'still' }), 'Echo: still')
  say.fact('the agent', 'is not disturbed: its next call is answered')
}
