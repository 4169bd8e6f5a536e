// The operator: the agent that the first start creates, and the only one that answers for itself.
import type { Agent } from './agent.ts'

/** No other agent can come to own itself: an owner is a person or an agent that is the operator already. */
export function isOperator(agent: Pick<Agent, 'id' | 'owner'>): boolean {
  return agent.owner === agent.id
}
