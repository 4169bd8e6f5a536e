// What lies where in the data folder. The command line and the server agree on it here; it imports nothing.
import { join } from 'node:path'

/** Who the operator is, with the private key (contract §2); mode 0600. */
export const operatorFile = (data: string): string => join(data, 'operator.json')

/** The key of the operator that waits to replace the one in its file, while it does; mode 0600. */
export const waitingOperatorFile = (data: string): string => join(data, 'operator.next.json')

/** The certificate of `--tls-self-signed`, for whoever shall trust it. */
export const trialCertificateFile = (data: string): string => join(data, 'tls-cert.pem')

/** The embedded database. */
export const databaseFile = (data: string): string => join(data, 'writ.db')

/** The published keys as this node last unsealed them; mode 0600, so that nobody else plants one. */
export const keptKeysFile = (data: string): string => join(data, 'published-keys.json')
