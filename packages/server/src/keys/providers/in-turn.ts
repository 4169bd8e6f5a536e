// One run at a time: whoever asks during a run gets one that begins after it, shared with all who ask meanwhile.

/**
 * Wraps `run` so that runs of one name never overlap, and so that every caller is answered by a run that began after
 * its call: a reading that was under way when something changed may have missed the change.
 */
export function inTurn<A>(
  nameOf: (arg: A) => string,
  run: (arg: A) => Promise<void>,
): (arg: A) => Promise<void> {
  const turns = new Map<string, { readonly current: Promise<void>; next: Promise<void> | undefined }>()

  const begin = (arg: A): Promise<void> => {
    const name = nameOf(arg)
    const current = run(arg).finally(() => {
      if (turns.get(name)?.current === current && turns.get(name)?.next === undefined) turns.delete(name)
    })
    turns.set(name, { current, next: undefined })
    return current
  }

  return arg => {
    const turn = turns.get(nameOf(arg))
    if (turn === undefined) return begin(arg)
    // How the run before ended is for those who asked for it.
    turn.next ??= turn.current.then(
      () => begin(arg),
      () => begin(arg),
    )
    return turn.next
  }
}
