// Policies put into force for a test, as an administrator does it.
import { expect } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'

export async function enforce(
  writ: Authority,
  source: string,
  actions: readonly string[] = [],
): Promise<string> {
  const { id } = expect(await writ.operator.manage('POST', '/policies', { source, actions }), 201)
  expect(await writ.operator.manage('POST', `/policies/${id}/activate`, { reason: 'test' }), 200)
  return id
}

/** Two users and two records: the fixture that the certification of AuthZEN asks for, as policies of ours. */
export const certification = `
@id("readers")
permit (principal is Writ::Subject, action == Writ::Action::"read", resource == Writ::Foreign::"record:record-1")
when { principal in [Writ::Subject::"user:alice", Writ::Subject::"user:bob"] };
@id("readers.of.the.archive")
permit (principal is Writ::Subject, action == Writ::Action::"read", resource == Writ::Foreign::"record:record-2")
when { principal in [Writ::Subject::"user:alice", Writ::Subject::"user:bob"] };
@id("alice.writes")
permit (principal == Writ::Subject::"user:alice", action == Writ::Action::"write", resource is Writ::Foreign)
when { resource.type == "record" };
@id("archive.is.closed")
forbid (principal is Writ::Subject, action == Writ::Action::"write", resource is Writ::Foreign)
when { resource.hasTag("status") && resource.getTag("status").text == "archived" }
unless { principal.hasTag("role") && principal.getTag("role").text == "admin" }
unless { principal == Writ::Subject::"user:bob" };
@id("admins.write.the.archive")
permit (principal is Writ::Subject, action == Writ::Action::"write", resource is Writ::Foreign)
when {
  principal.hasTag("role") && principal.getTag("role").text == "admin" &&
  resource.hasTag("status") && resource.getTag("status").text == "archived"
};
@id("bob.keeps.the.archive")
permit (
  principal == Writ::Subject::"user:bob",
  action == Writ::Action::"write",
  resource == Writ::Foreign::"record:record-2"
);
@id("alice.deletes.softly")
permit (principal == Writ::Subject::"user:alice", action == Writ::Action::"delete", resource == Writ::Foreign::"record:record-1")
when { context.claims.hasTag("action.soft") && context.claims.getTag("action.soft") has flag && context.claims.getTag("action.soft").flag };
`
export const certificationActions = ['read', 'write', 'delete']
