// A root that is opened when it is first needed, and again after it could not be reached: a server may start before it.
import type { RootSealer } from './sealers/sealer.ts'

/** `open` is called again after each time that it failed. `kind` and `place` describe it until then. */
export function deferredRoot(
  described: Pick<RootSealer, 'kind' | 'place'>,
  open: () => Promise<RootSealer>,
): RootSealer {
  let opening: Promise<RootSealer> | undefined
  let opened: RootSealer | undefined
  const root = (): Promise<RootSealer> => {
    opening ??= open().then(
      found => {
        opened = found
        return found
      },
      (error: unknown) => {
        opening = undefined
        throw error
      },
    )
    return opening
  }
  return {
    get kind() {
      return opened?.kind ?? described.kind
    },
    get place() {
      return opened?.place ?? described.place
    },
    current: async () => (await root()).current(),
    seal: async (plain, identity) => (await root()).seal(plain, identity),
    open: async (text, identity) => (await root()).open(text, identity),
    stage: async rotation => (await root()).stage(rotation),
    activate: async version => (await root()).activate(version),
    retire: async version => (await root()).retire(version),
    close: async () => opened?.close(),
  }
}
