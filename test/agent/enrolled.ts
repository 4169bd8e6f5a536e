// Instances of agents under test at the authority itself, reached without a socket, whose answers can be lost.
import type { TestContext } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { expect } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { freshDirectory } from './agents.ts'

export interface Enrolled {
  readonly agent: Agent
  /** Of which paths the answer is lost, once each. */
  readonly lost: Set<string>
  /** What happens while the answer of a path is on its way, once each. */
  readonly meanwhile: Map<string, () => Promise<unknown>>
  /** The path of each request. */
  readonly asked: string[]
  /** Another process with the same keystore. */
  sibling(): Promise<Agent>
}

/** An instance of this agent, or of a new one without any right. */
export async function enrolled(t: TestContext, writ: Authority, of?: string): Promise<Enrolled> {
  const made = { name: 'deployer', owner: writ.operator.clientId, purpose: 'Deploys' }
  const id = of ?? expect(await writ.operator.manage('POST', '/agents', made), 201).id
  const enrollment = expect(await writ.operator.manage('POST', `/agents/${id}/enrollments`), 201)
  const lost = new Set<string>()
  const meanwhile: Enrolled['meanwhile'] = new Map()
  const asked: string[] = []
  const directory = freshDirectory()
  const reach: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const { pathname } = new URL(request.url)
    asked.push(pathname)
    const answer = await writ.server.fetch(request)
    answer.headers.set('date', new Date(writ.nowMs()).toUTCString())
    const happens = meanwhile.get(pathname)
    meanwhile.delete(pathname)
    await happens?.()
    if (lost.delete(pathname)) throw new TypeError('lost')
    return answer
  }
  const load = async (): Promise<Agent> => {
    const agent = await Agent.load({
      directory,
      enrollment: `${enrollment.enroll_uri}#${enrollment.token}`,
      fetch: reach,
      clock: writ.nowMs,
    })
    t.after(() => agent.close())
    return agent
  }
  return { agent: await load(), lost, meanwhile, asked, sibling: load }
}
