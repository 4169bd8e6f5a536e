// The main job, end to end: an agent with its own keys does scoped, proven work, and can be stopped and held to account.
import type { Narrator } from './narrator.ts'
import type { Processes } from './processes.ts'
import { lifetimes, openStage, registerResources } from './stage.ts'
import { grant, hire, second } from './steps/identity.ts'
import { kill } from './steps/kill.ts'
import { prove } from './steps/proof.ts'
import { rotate } from './steps/rotation.ts'
import { steal } from './steps/theft.ts'

export async function mainJob(folder: string, processes: Processes, narrator: Narrator): Promise<void> {
  narrator.title('Writ: an agent with its own keys does scoped, proven work.')
  narrator.plain('Real parts, each its own process, all on this machine:')
  const stage = await openStage(folder, processes, narrator)
  await registerResources(stage)
  narrator.plain('Lifetimes are short here, by configuration, so that you need not wait:')
  const { accessTokenSeconds, drainSeconds, issuerKeyPublishSeconds } = lifetimes
  narrator.plain(
    `tokens ${accessTokenSeconds} s, old keys end ${drainSeconds} s unused, publication before signing ${issuerKeyPublishSeconds} s.`,
  )

  const { step } = narrator
  const hired = await step(1, 'An agent is created: an owner, a purpose, and no access', say =>
    hire(stage, say),
  )
  const server = await step(2, 'Its first tool call is refused, then granted', say =>
    grant(stage, hired, say),
  )
  await step(3, 'A second instance has its own key and its own identity', say => second(stage, hired, say))
  await step(4, 'A stolen token is useless without the key', say => steal(stage, server, say))
  await step(5, 'Keys rotate under traffic, and not one call fails', say => rotate(stage, hired, server, say))
  await step(6, 'The agent is killed, and every place that can refuse it does', say =>
    kill(stage, hired, say),
  )
  await step(7, 'The record proves itself, and says why', say => prove(stage, hired, say))
  hired.agent.close()
}
