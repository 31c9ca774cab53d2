// The replica worker: reads the own parts and head for the cluster's protocols and for peers, apart from queries, so that
// neither waits for the other. Of queries that others ask it evaluates fragments, each within limits of its own.
import { present, secondMs } from '../../base/index.ts';
import type { Clock } from '../../ports/index.ts';
import { evaluateFragment, LimitedQueryControl } from '../../promql/index.ts';
import { type FragmentEvaluator, PairReader, Reader, serveReplicaReader } from '../../storage/index.ts';
import { type RoleContext, storagePorts, type StorageStart } from './role.ts';

/** Of one fragment; whoever asked reads samples then, in pieces. */
const fragmentTimeMaxMs = 10 * secondMs;
/** How long a fragment may keep others waiting. */
const fragmentSliceMs = 10;

export function fragmentEvaluator(clock: Clock): FragmentEvaluator {
  return (encoded, range, session, control) => {
    const endMs = clock.monotonicMs() + fragmentTimeMaxMs;
    const limits = new LimitedQueryControl({ state: () => (clock.monotonicMs() > endMs ? 'timeout' : 'run') });
    const limited = {
      check: () => {
        control.check();
        limits.check();
      },
      addSamples: (count: number) => limits.addSamples(count),
      addBytes: (count: number) => control.addBytes(count),
    };
    let sliceEndMs = clock.monotonicMs() + fragmentSliceMs;
    const pause = (): Promise<void> | undefined => {
      if (clock.monotonicMs() < sliceEndMs) return undefined;
      return new Promise((resolve) =>
        clock.setTimer(0, () => {
          sliceEndMs = clock.monotonicMs() + fragmentSliceMs;
          resolve();
        }),
      );
    };
    return evaluateFragment(encoded, range, session, limited, pause);
  };
}

/** Its channel is served by serveReplicaReader; for connectReplicaReader. */
export async function startReplicaRole({ ports, start, channels, channel }: RoleContext): Promise<void> {
  ports.lowerThreadPriority(5);
  const reader = await Reader.open({
    ...storagePorts(ports, start as StorageStart),
    lane: present(channels['lane'], 'channel to the lane'),
    keeper: present(channels['keeper'], 'channel to the keeper'),
  });
  serveReplicaReader(channel, new PairReader(reader, fragmentEvaluator(ports.clock)));
}
