// Groups of people. Who belongs to one stands in the person's own record, so that a decision reads one record.
import type { GroupId } from '@writ/sdk/protocol/identifier'

export interface Group {
  readonly id: GroupId
  readonly name: string
  readonly description: string
  readonly createdAt: number
  readonly updatedAt: number
}
