// Agents under test: each with a directory of its own, closed and removed at the end of the file's tests.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { Agent, type LoadOptions } from '@writ/sdk/agent'
import type { TestIssuer } from './issuer.ts'

const root = mkdtempSync(join(tmpdir(), 'writ-agents-'))
const open = new Set<Agent>()
after(() => {
  for (const agent of open) agent.close()
  rmSync(root, { recursive: true, force: true })
})

export function freshDirectory(): string {
  return join(mkdtempSync(join(root, 'at-')), 'agent')
}

/** What an administrator would put into WRIT_ENROLLMENT. */
export function enrollmentFor(issuer: TestIssuer): string {
  return `${issuer.url}/enroll#${issuer.enrollment()}`
}

/** An agent with a new directory and a new enrolment, unless the options say otherwise. */
export async function loadAgent(issuer: TestIssuer, options: LoadOptions = {}): Promise<Agent> {
  const agent = await Agent.load({
    directory: freshDirectory(),
    enrollment: enrollmentFor(issuer),
    ...options,
  })
  open.add(agent)
  return agent
}
