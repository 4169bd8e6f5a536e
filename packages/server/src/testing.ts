// What others test with: the contracts that an implementation of a port has to pass, and what they run on.
export { type Cluster, type ClusterOptions, startPostgres } from './store/contract/postgres.ts'
export {
  type Category,
  type ContractOptions,
  type Given,
  type Opened,
  storeContract,
} from './store/contract/store-contract.ts'
