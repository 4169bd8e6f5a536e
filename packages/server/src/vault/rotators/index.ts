// Every rotator: to add one, add its file and a line here.
import type { AnyRotator } from './rotator.ts'

export const rotators: readonly AnyRotator[] = []
