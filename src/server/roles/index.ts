// The roles of workers by name. Each is loaded only in the thread that plays it: a lane holds no PromQL.
import { TimbalaError } from '../../base/index.ts';
import type { RoleContext } from './role.ts';

export type { QueryStart, RoleContext, StorageStart, ThreadPorts } from './role.ts';

/** Resolves when the role serves its channel. Throws what its storage throws on opening. */
export async function startRole(name: string, context: RoleContext): Promise<void> {
  if (name === 'lane') return (await import('./lane.ts')).startLaneRole(context);
  if (name === 'compactor') return (await import('./compactor.ts')).startCompactorRole(context);
  if (name === 'query') return (await import('./query.ts')).startQueryRole(context);
  if (name === 'replica') return (await import('./replica.ts')).startReplicaRole(context);
  if (name === 'gossip') return (await import('./gossip.ts')).startGossipRole(context);
  throw new TimbalaError('ROLE_UNKNOWN', name);
}
