// Every kind of rotation: to add one, add its file and a line here.
import type { Kind } from '../kind.ts'

export const kinds: readonly Kind[] = []
