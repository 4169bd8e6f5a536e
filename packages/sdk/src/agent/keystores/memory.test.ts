// The keystore in memory against the contract.
import { keystoreContract } from './contract.ts'
import { memoryKeystore } from './memory.ts'

keystoreContract('memory keystore', {
  open: memoryKeystore,
  again: { noneBecause: 'it ends with its process, and a new process is a new instance' },
})
