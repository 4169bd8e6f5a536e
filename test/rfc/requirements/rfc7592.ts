// RFC 7592, the client configuration endpoint: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc7592 = {
  name: 'RFC 7592',
  title: 'the client configuration endpoint',
  requirements: [
    {
      id: 'RFC7592-2-1',
      section: '2',
      level: 'MUST',
      text: 'The registration access token is required, and good for the one registration only.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2',
    },
    {
      id: 'RFC7592-2-2',
      section: '2',
      level: 'MUST',
      text: 'A client that does not exist is a 401, and its token is worth nothing any more.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2',
    },
    {
      id: 'RFC7592-2.1-1',
      section: '2.1',
      level: 'MUST',
      text: 'Reading answers 200 with the registration.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2.1',
    },
    {
      id: 'RFC7592-2.2-1',
      section: '2.2',
      level: 'MUST',
      text: 'An update names its client_id, and replaces what the registration had; what is left out is gone.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2.2',
    },
    {
      id: 'RFC7592-2.2-2',
      section: '2.2',
      level: 'MUST',
      text: 'An update with a member that only answers carry is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2.2',
    },
    {
      id: 'RFC7592-2.2-3',
      section: '2.2',
      level: 'MUST',
      text: 'A client_secret in an update is a current one of the client; a client never chooses its secret.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2.2',
    },
    {
      id: 'RFC7592-2.3-1',
      section: '2.3',
      level: 'MUST',
      text: 'Deletion answers 204, and ends the credentials of the client.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-2.3',
    },
    {
      id: 'RFC7592-3-1',
      section: '3',
      level: 'MUST',
      text: 'An answer names the registration_client_uri and the registration_access_token.',
      url: 'https://www.rfc-editor.org/rfc/rfc7592#section-3',
    },
  ],
} as const satisfies Specification
