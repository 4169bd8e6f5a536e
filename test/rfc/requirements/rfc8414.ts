// RFC 8414, authorization server metadata: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc8414 = {
  name: 'RFC 8414',
  title: 'authorization server metadata',
  requirements: [
    {
      id: 'RFC8414-3-1',
      section: '3',
      level: 'MUST',
      text: 'The metadata stands at the inserted well-known path, also for an issuer with a path.',
      url: 'https://www.rfc-editor.org/rfc/rfc8414#section-3',
    },
    {
      id: 'RFC8414-3.3-1',
      section: '3.3',
      level: 'MUST',
      text: 'The issuer in the metadata is the one that was asked for, byte for byte.',
      url: 'https://www.rfc-editor.org/rfc/rfc8414#section-3.3',
    },
    {
      id: 'RFC8414-2-1',
      section: '2',
      level: 'MUST',
      text: 'Every endpoint that the metadata names answers.',
      url: 'https://www.rfc-editor.org/rfc/rfc8414#section-2',
    },
  ],
} as const satisfies Specification
