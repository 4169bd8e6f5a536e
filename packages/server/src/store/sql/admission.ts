// What a change must be before it may join a group: texts and numbers that both databases hold, within bounds.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Change, RecordKind } from '../../domain/change.ts'
import { bodyLimit, bodyOf, type Codec, isStorable } from './records/record.ts'

/** Change, tenant and clock reading, as they wait for their group. */
export interface Member {
  readonly tenant: string
  /** Epoch seconds. */
  readonly now: number
  readonly nowMs: number
  readonly change: Change
}

/** Bytes of the longest leaf: a tlog-tiles bundle gives its length in 16 bits. */
export const entryLimit = 0xffff

/** Members of a list: of one change, so that it fits the transaction of its group. */
const listLimit = 1000

const whole = (value: number): boolean => Number.isSafeInteger(value)
const wholeOrNull = (value: number | null): boolean => value === null || whole(value)
const sane = (text: string): boolean => isStorable(text, bodyLimit)
const saneOrNone = (text: string | null | undefined): boolean => text == null || isStorable(text)

/** Refuses a change that could not be stored, so that it cannot spoil the group it would share. */
export function admit(member: Member, codecs: ReadonlyMap<RecordKind, Codec>): Fault | undefined {
  const known = isStorable(member.tenant) && whole(member.now) && whole(member.nowMs)
  const wrong = known ? problemOf(member.change, codecs) : 'context'
  if (wrong === undefined) return undefined
  return new Fault('invalid_value', 'A value cannot be stored: it is too long or malformed.', {
    kind: 'not_storable',
    where: wrong,
  })
}

function problemOf(change: Change, codecs: ReadonlyMap<RecordKind, Codec>): string | undefined {
  for (const list of Object.values(change)) {
    if (Array.isArray(list) && list.length > listLimit) return 'length'
  }
  for (const basis of change.bases ?? [])
    if (!basis.subjects.every(subject => isStorable(subject))) return 'basis'
  if (change.fence !== undefined && !isStorable(change.fence.lease)) return 'fence'
  for (const { key, until } of change.claims ?? []) if (!isStorable(key) || !whole(until)) return 'claim'
  for (const { thumbprint, from } of change.touches ?? []) {
    if (!isStorable(thumbprint) || !saneOrNone(from)) return 'touch'
  }
  for (const { version, caller, from, until } of change.uses ?? []) {
    if (!isStorable(version) || !isStorable(caller) || !saneOrNone(from) || !wholeOrNull(until)) return 'use'
  }
  for (const { grant, amount } of [...(change.spends ?? []), ...(change.settlements ?? [])]) {
    if (!isStorable(grant) || !whole(amount) || amount < 0) return 'spend'
  }
  for (const { reservation } of change.spends ?? []) {
    if (reservation !== null && (!isStorable(reservation.id) || !whole(reservation.until))) return 'spend'
  }
  for (const entry of change.entries) {
    if (!isStorable(entry.type) || !isStorable(entry.requestId)) return 'entry'
    if (!saneOrNone(entry.agent) || !saneOrNone(entry.person)) return 'entry'
  }
  return problemOfRare(change, codecs)
}

function problemOfRare(change: Change, codecs: ReadonlyMap<RecordKind, Codec>): string | undefined {
  for (const { kind, key } of change.takes ?? []) if (!isStorable(kind) || !isStorable(key)) return 'take'
  for (const made of change.creates ?? []) {
    if (!isStorable(made.kind) || !isStorable(made.key) || !sane(made.value) || !whole(made.expiresAt))
      return 'create'
  }
  for (const { subject } of change.signals ?? []) if (!isStorable(subject)) return 'signal'
  for (const { id, ifVersion } of change.removals ?? [])
    if (!isStorable(id) || !whole(ifVersion)) return 'removal'
  for (const kept of change.remembers ?? []) {
    if (!isStorable(kept.key) || !isStorable(kept.request) || !sane(kept.body)) return 'answer'
    if (!whole(kept.until) || !whole(kept.status)) return 'answer'
  }
  for (const { put, value, ifVersion } of change.puts ?? []) {
    const codec = codecs.get(put)
    if (codec === undefined || !whole(ifVersion) || ifVersion < 0) return put
    if (!isStorable(codec.idOf(value)) || bodyOf(codec, value).length > bodyLimit) return put
    for (const column of codec.valuesOf(value)) {
      if (typeof column === 'string' ? !isStorable(column) : !wholeOrNull(column as number | null)) return put
    }
  }
  return undefined
}
