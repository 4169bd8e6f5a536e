// The parts of a change that can fail by themselves, as steps and a verdict over their rows.
import type { Committed, Put, Removal } from '../../domain/change.ts'
import type { Member } from './admission.ts'
import { type Row, type Step, step } from './engine/engine.ts'
import { bodyOf, type RecordWriter } from './records/record.ts'
import type { GroupWriter } from './writer.ts'

export interface Operation {
  readonly steps: readonly Step[]
  /** Why it failed, by the rows of its steps; undefined when it is done. */
  judge(rows: readonly (readonly Row[])[]): Committed | undefined
  /** Why it failed when a constraint was violated. */
  readonly violated: Committed
}

const conflict = (record: string, id: string): Committed => ({ kind: 'conflict', record, id })

/** One that holds when its first step gave back a row. */
const oneRow = (steps: readonly Step[], otherwise: Committed): Operation => ({
  steps,
  judge: ([first]) => (first?.length === 1 ? undefined : otherwise),
  violated: otherwise,
})

/** In the order of failures: takes first, then everything that conflicts. */
export function operationsOf(
  write: GroupWriter,
  member: Member,
  nextOrdinal: () => number,
): readonly Operation[] {
  const { tenant, now, change } = member
  const { once } = write
  return [
    ...(change.takes ?? []).map(
      (take): Operation => ({
        steps: [
          step(once.taken, [[tenant, take.kind, take.key]]),
          step(once.take, [[tenant, take.kind, take.key, now]]),
        ],
        judge: ([before, taken]) =>
          taken?.length === 1 ? undefined : { kind: before?.length === 1 ? 'spent' : 'absent', take },
        violated: { kind: 'absent', take },
      }),
    ),
    ...(change.creates ?? []).map(({ kind, key, value, expiresAt }) =>
      oneRow([step(once.create, [[tenant, kind, key, value, expiresAt]])], conflict('oneTime', key)),
    ),
    ...(change.puts ?? []).map(put => putOperation(writerFor(write, put.put), tenant, put, nextOrdinal)),
    ...(change.removals ?? []).map(removal =>
      removalOperation(writerFor(write, removal.remove), tenant, removal),
    ),
    ...(change.remembers ?? []).map(({ key, request, status, body, until }) =>
      oneRow(
        [step(once.remember, [[tenant, key, request, status, body, until, now]])],
        conflict('answer', key),
      ),
    ),
  ]
}

function writerFor(write: GroupWriter, kind: Put['put']): RecordWriter {
  const writer = write.records.get(kind)
  if (writer === undefined) throw new Error(`no table holds records of the kind ${kind}`)
  return writer
}

function putOperation(writer: RecordWriter, tenant: string, put: Put, nextOrdinal: () => number): Operation {
  const { codec } = writer
  const id = codec.idOf(put.value)
  const row = [tenant, id, bodyOf(codec, put.value), ...codec.valuesOf(put.value)]
  const written =
    put.ifVersion === 0
      ? step(writer.insert, [[...row, nextOrdinal()]])
      : step(writer.update, [[...row, put.ifVersion]])
  return oneRow([written], conflict(put.put, id))
}

const removalOperation = (
  writer: RecordWriter,
  tenant: string,
  { remove, id, ifVersion }: Removal,
): Operation =>
  oneRow(
    [step(writer.entomb, [[tenant, id, ifVersion]]), step(writer.remove, [[tenant, id, ifVersion]])],
    conflict(remove, id),
  )
