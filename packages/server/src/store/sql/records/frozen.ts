// Records as facts: parsed once and frozen, because many decisions share them.

const freezeDeep = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) freezeDeep(member)
  }
  return value
}

export const parseFrozen = <T>(body: string): T => freezeDeep(JSON.parse(body)) as T
