// Odd values: spellings that look alike stay apart, and what cannot be stored is refused without harm to anyone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Change } from '../../domain/change.ts'
import {
  agentOf,
  clientOf,
  entry,
  type Given,
  keyOf,
  personOf,
  resourceOf,
  rotationOf,
  sceneIn,
  secretOf,
  start,
  unique,
} from './scene.ts'

/** Texts that a careless comparison takes for one. */
const lookalikes: Readonly<Record<string, readonly string[]>> = {
  'upper and lower case': ['straße', 'STRASSE', 'strasse', 'Straße'],
  'Unicode normal forms': ['caf\u00e9', 'cafe\u0301', 'cafe'],
  'white space': ['a', 'a ', ' a', 'a\u00a0', 'a\t', 'a\n'],
  'look-alike letters': ['paypal', 'p\u0430ypal', '\uff50aypal'],
  'pattern characters': ['a%', 'a_', 'ab', 'a\\', "a'", 'a"'],
  'characters beyond the first plane': ['\u{1F511}', '\u{1F510}', '\uFFFD'],
  digits: ['1', '01', '1.0', '١'],
}

/** Ways to put a text of one's own into the store. */
const places: Readonly<Record<string, (text: string) => Partial<Change>>> = {
  'a claim': text => ({ claims: [{ key: text, until: start + 60 }] }),
  'the key of an artefact': text => ({
    creates: [{ kind: 'enrollment', key: text, value: 'v', expiresAt: start + 60 }],
  }),
  'a value of an artefact': text => ({
    creates: [{ kind: 'enrollment', key: unique(), value: text, expiresAt: start + 60 }],
  }),
  'an answer': text => ({
    remembers: [{ key: text, request: 'r', status: 200, body: '', until: start + 60 }],
  }),
  'a subject': text => ({ signals: [{ subject: text, kind: 'changed' }] }),
  'a basis': text => ({ bases: [{ epoch: 0, subjects: [text] }] }),
  'a touch': text => ({ touches: [{ thumbprint: text, from: null }] }),
  'the origin of a touch': text => ({ touches: [{ thumbprint: unique(), from: text }] }),
  'the version of a use': text => ({ uses: [{ version: text, caller: 'a', from: null, until: null }] }),
  'the caller of a use': text => ({ uses: [{ version: 'v', caller: text, from: null, until: null }] }),
  'the origin of a use': text => ({ uses: [{ version: 'v', caller: 'a', from: text, until: null }] }),
  'the target of a rotation': text => ({
    puts: [{ put: 'rotation', value: rotationOf({ target: text }), ifVersion: 0 }],
  }),
  'the name of a secret': text => ({
    puts: [{ put: 'secret', value: secretOf({ name: text }), ifVersion: 0 }],
  }),
  'a kid': text => ({ puts: [{ put: 'key', value: keyOf({ kid: text }), ifVersion: 0 }] }),
  'a login': text => ({ puts: [{ put: 'person', value: personOf({ login: text }), ifVersion: 0 }] }),
  'an identifier': text => ({
    puts: [{ put: 'resource', value: resourceOf({ identifier: text }), ifVersion: 0 }],
  }),
  'a removed id': text => ({ removals: [{ remove: 'client', id: text, ifVersion: 1 }] }),
  'the agent of an entry': text => ({ entries: [entry({ agent: text })] }),
  'the type of an entry': text => ({ entries: [entry({ type: text })] }),
  'the request of an entry': text => ({ entries: [entry({ requestId: text })] }),
}

const unstorable: Readonly<Record<string, string>> = {
  'a NUL': 'a\0b',
  'half a surrogate pair': 'a\ud800b',
  'a megabyte': 'x'.repeat(1_000_000),
}

/** Registers the tests of values. */
export function valueContract(given: () => Given): void {
  for (const [what, texts] of Object.entries(lookalikes)) {
    test(`keys that differ in ${what} are different keys`, async () => {
      const scene = await sceneIn(given().store)
      for (const text of texts) {
        await scene.done({
          claims: [{ key: text, until: start + 60 }],
          creates: [{ kind: 'enrollment', key: text, value: text, expiresAt: start + 60 }],
          puts: [
            { put: 'resource', value: resourceOf({ identifier: text, name: text }), ifVersion: 0 },
            { put: 'person', value: { ...personOf(), loginKey: text, name: text }, ifVersion: 0 },
          ],
          signals: [{ subject: text, kind: 'narrowed' }],
        })
      }
      for (const text of texts) {
        assert.equal((await scene.commit({ claims: [{ key: text, until: start }] })).kind, 'replayed')
        assert.deepEqual(await scene.store.oneTimes.peek(scene, 'enrollment', text, start), { value: text })
        assert.equal((await scene.store.resources.byIdentifier(scene, text))?.name, text)
        assert.equal((await scene.store.facts.resource(scene, text))?.name, text)
        assert.equal((await scene.store.people.byLogin(scene, text))?.name, text)
      }
      const epochs = (await scene.store.signals.after(scene, 0, 100)).filter(
        ({ kind }) => kind === 'narrowed',
      )
      for (const { subject, epoch } of epochs) {
        assert.equal(
          (await scene.commit({ bases: [{ epoch: epoch - 1, subjects: [subject] }] })).kind,
          'stale',
        )
        assert.equal((await scene.commit({ bases: [{ epoch, subjects: [subject] }] })).kind, 'done')
      }
    })
  }

  test('every character of a record and of an entry comes back as it was', async () => {
    const scene = await sceneIn(given().store)
    const odd = `\u0000\u001f"\\'%_\u2028\u{1F511}e\u0301 \ud800`
    const agent = agentOf({ purpose: odd, labels: { [odd]: odd } })
    const client = clientOf({ metadata: { deep: [{ [odd]: [odd, 1.5, -0, null, true] }] } })
    const { first } = await scene.done({
      puts: [
        { put: 'agent', value: agent, ifVersion: 0 },
        { put: 'client', value: client, ifVersion: 0 },
      ],
      entries: [entry({ reason: odd, facts: { odd } })],
    })
    assert.deepEqual(await scene.store.agents.get(scene, agent.id), { ...agent, version: 1 })
    assert.equal(
      JSON.stringify((await scene.store.clients.get(scene, client.id))?.metadata),
      JSON.stringify(client.metadata),
    )
    const stored = await scene.store.log.entry(scene, first.id)
    assert.equal(JSON.parse(stored?.text ?? '').reason, odd)
  })

  for (const [what, text] of Object.entries(unstorable)) {
    test(`${what} is refused wherever it would be kept, and harms no other member of its group`, async () => {
      const scene = await sceneIn(given().store)
      let size = 0
      for (const [place, change] of Object.entries(places)) {
        const [before, spoilt, after] = await Promise.allSettled([
          scene.commit(),
          scene.commit(change(text)),
          scene.commit(),
        ])
        assert.ok(spoilt.status === 'rejected' && isFault(spoilt.reason), place)
        assert.ok(before.status === 'fulfilled' && before.value.kind === 'done', place)
        assert.ok(after.status === 'fulfilled' && after.value.kind === 'done', place)
        size += 2
        assert.equal(await scene.store.log.size(scene), size, place)
      }
    })

    test(`${what} finds nothing where it is asked for`, async () => {
      const scene = await sceneIn(given().store)
      const { store } = scene
      const asked: readonly [unknown, unknown][] = [
        [await store.agents.get(scene, text), undefined],
        [(await store.agents.list(scene, { limit: 5 }, { name: text })).items.length, 0],
        [(await store.agents.instances(scene, { limit: 5 }, { agent: text })).items.length, 0],
        [await store.keys.byThumbprint(scene, text), undefined],
        [(await store.keys.ofOwner(scene, text)).length, 0],
        [(await store.keys.named(scene, text, [text])).length, 0],
        [(await store.keys.list(scene, { limit: 5 }, { owner: text })).items.length, 0],
        [await store.resources.byIdentifier(scene, text), undefined],
        [await store.people.byLogin(scene, text), undefined],
        [await store.oneTimes.peek(scene, 'enrollment', text, start), 'absent'],
        [await store.remembering.recall(scene, text, start), undefined],
        [await store.facts.caller(scene, text), undefined],
        [await store.facts.resource(scene, text), undefined],
        [await store.signals.isNarrowed(scene, [text], 0), false],
        [await store.log.entry(scene, text), undefined],
        [(await store.rotations.list(scene, { limit: 5 }, { target: text })).items.length, 0],
        [(await store.rotations.open(scene, 'secret', text)).length, 0],
        [(await store.schedules.list(scene, { limit: 5 }, { target: text })).items.length, 0],
        [await store.secrets.byName(scene, text), undefined],
        [(await store.secrets.versions(scene, text)).length, 0],
        [(await store.secrets.under(scene, text, 5)).length, 0],
        [await store.secrets.countUnder(scene, text), 0],
        [(await store.secrets.liveLeases(scene, { agent: text }, 5)).length, 0],
        [(await store.secrets.liveLeases(scene, { secret: text }, 5)).length, 0],
        [(await store.clientSecrets.ofClient(scene, text)).length, 0],
        [(await store.uses.of(scene, text, 5)).length, 0],
        [(await store.log.find(scene, { agent: text }, -1, 5)).length, 0],
      ]
      for (const [at, [got, expected]] of asked.entries()) assert.equal(got, expected, `question ${at}`)
    })
  }

  test('a body, an entry or a list that is too long is refused, and harms nobody', async () => {
    const scene = await sceneIn(given().store)
    const long = 'x'.repeat(300_000)
    const refused: readonly Partial<Change>[] = [
      { puts: [{ put: 'agent', value: agentOf({ purpose: long }), ifVersion: 0 }] },
      { entries: [entry({ reason: long })] },
      { entries: [entry(), entry({ reason: '\u{1F511}'.repeat(20_000) })] },
      { claims: Array.from({ length: 5000 }, () => ({ key: unique(), until: start + 60 })) },
      { claims: [{ key: unique(), until: start + 0.5 }] },
      { claims: [{ key: unique(), until: Number.NaN }] },
    ]
    for (const change of refused) {
      const [spoilt, other] = await Promise.allSettled([scene.commit(change), scene.commit()])
      assert.ok(spoilt.status === 'rejected' && isFault(spoilt.reason))
      assert.ok(other.status === 'fulfilled')
    }
    assert.equal(await scene.store.log.size(scene), refused.length)
    assert.equal((await scene.store.agents.list(scene, { limit: 5 }, {})).items.length, 0)
  })

  test('an entry as long as a leaf may be is kept whole', async () => {
    const scene = await sceneIn(given().store)
    const { first } = await scene.done({ entries: [entry({ reason: 'é'.repeat(32_000) })] })
    const stored = await scene.store.log.entry(scene, first.id)
    assert.equal(JSON.parse(stored?.text ?? '').reason.length, 32_000)
  })
}
