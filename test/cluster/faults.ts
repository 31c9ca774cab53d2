// What can happen to a cluster, each with its end: after it the cluster has all its nodes again, or has been told to do without.
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, secondMs } from '../../src/base/index.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';
import type { FleetNode } from './fleet.ts';
import type { Cut } from './machines.ts';
import { mendedTimeoutMs, type Stage, wholeTimeoutMs } from './stage.ts';

export interface Fault {
  readonly name: string;
  /** What the machines must be capable of. */
  readonly needs?: 'cut' | 'fill';
  /** The load goes on for so long afterwards. */
  readonly afterMs: number;
  happen(stage: Stage): Promise<void>;
}

const restMs = 2 * secondMs;

export function nothing(durationMs: number, name = 'steady'): Fault {
  return { name, afterMs: durationMs, happen: async () => {} };
}

/** SIGKILL, some time without it, and back. */
export function killed(index: number, downMs: number): Fault {
  return {
    name: `SIGKILL of node ${index}`,
    afterMs: restMs,
    async happen({ fleet }) {
      const node = fleet.node(index);
      await node.kill();
      await sleep(downMs);
      await node.start();
    },
  };
}

/** SIGTERM, and back; no rest between a node that is ready and what comes next. */
export function restarted(index: number, downMs: number): Fault {
  return {
    name: `restart of node ${index}${downMs > 0 ? `, ${downMs / secondMs} s away` : ''}`,
    afterMs: 0,
    async happen({ fleet }) {
      const node = fleet.node(index);
      await node.stop();
      await sleep(downMs);
      await node.start();
    },
  };
}

/** Two of them away at once: what owners two of which are away hold is warned of; writes go on where two nodes are left. */
export function bothKilled(indexes: readonly [number, number], downMs: number): Fault {
  return {
    name: `SIGKILL of nodes ${indexes.join(' and ')}`,
    afterMs: restMs,
    async happen({ fleet }) {
      const nodes = indexes.map((index) => fleet.node(index));
      await Promise.all(nodes.map((node) => node.kill()));
      await sleep(downMs);
      await Promise.all(nodes.map((node) => node.start()));
    },
  };
}

/** As if the power had failed. */
export const allKilled: Fault = {
  name: 'SIGKILL of all at once',
  afterMs: restMs,
  async happen({ fleet: { members } }) {
    await Promise.all(members.map((node) => node.kill()));
    await Promise.all(members.map((node) => node.start()));
  },
};

export function stuck(index: number, durationMs: number): Fault {
  return {
    name: `node ${index} is stuck (SIGSTOP)`,
    afterMs: restMs,
    async happen({ fleet }) {
      const node = fleet.node(index);
      node.pause();
      await sleep(durationMs);
      node.resume();
      await fleet.reconnected(node, wholeTimeoutMs);
    },
  };
}

const cutNames = { both: 'is cut off', in: 'does not hear the others', out: 'is not heard by the others' };

export function isolated(index: number, how: Cut, durationMs: number): Fault {
  return {
    name: `node ${index} ${cutNames[how]}`,
    needs: 'cut',
    afterMs: restMs,
    async happen({ fleet }) {
      const node = fleet.node(index);
      node.cut(how);
      await sleep(durationMs);
      node.machine.mend();
      await fleet.reconnected(node, wholeTimeoutMs);
    },
  };
}

/** The node goes on once there is room, or has ended and is started again. */
export function diskFull(index: number, durationMs: number): Fault {
  return {
    name: `node ${index} has a full disk`,
    needs: 'fill',
    afterMs: restMs,
    async happen({ fleet, journal }) {
      const node = fleet.node(index);
      node.fillDisk();
      await sleep(durationMs);
      node.machine.freeDisk();
      if (node.process.exited) {
        journal.note(`${node.name} had ended: its disk was full`);
        await node.start();
      } else await fleet.storing(node, wholeTimeoutMs);
    },
  };
}

/** An empty directory at the same address. */
export function wiped(index: number): Fault {
  return {
    name: `node ${index} is wiped`,
    afterMs: restMs,
    async happen({ fleet }) {
      const node = fleet.node(index);
      await node.kill();
      node.wipe();
      await node.start();
      fleet.noteLoss();
    },
  };
}

export function added(count: number): Fault {
  return {
    name: `${count} added at once`,
    afterMs: restMs,
    async happen({ fleet, journal }) {
      const nodes = Array.from({ length: count }, () => fleet.add());
      await Promise.all(nodes.map((node) => node.start()));
      const tookMs = await fleet.whole('moved', mendedTimeoutMs);
      journal.note(`filled ${(tookMs / secondMs).toFixed(1)} s after all were active`);
    },
  };
}

export function decommissioned(index: number): Fault {
  return {
    name: `node ${index} is decommissioned`,
    afterMs: restMs,
    async happen({ fleet, journal }) {
      const node = fleet.node(index);
      await node.decommission();
      const tookMs = await fleet.left(node, mendedTimeoutMs);
      journal.note(`it had handed over all that it held after ${(tookMs / secondMs).toFixed(1)} s`);
      await node.stop();
    },
  };
}

const deletedName = 'cluster_test_deleted';
const deletedSeriesCount = 50;

async function writeDeleted(node: FleetNode, timestampMs: number): Promise<void> {
  const series = Array.from({ length: deletedSeriesCount }, (_, index) => ({
    labels: ['__name__', deletedName, 'series', String(index)],
    timestampsMs: [timestampMs],
    values: Float64Array.of(index),
  }));
  await node.write(wrapSnappy(encodeWriteRequest(series)));
}

/** A delete while one owner is away; what it matches is hidden for ever, and refused when it is sent again. */
export function deleted(awayIndex: number, takenAtIndex: number): Fault {
  return {
    name: `a delete while node ${awayIndex} is away`,
    afterMs: restMs,
    async happen(stage) {
      const { fleet, journal } = stage;
      const [away, takenAt] = [fleet.node(awayIndex), fleet.node(takenAtIndex)];
      const timestampMs = Date.now() - 10 * hourMs;
      await writeDeleted(away, timestampMs);
      await away.kill();
      await takenAt.deleteSeries(deletedName);
      await away.start();
      const check = async (): Promise<void> => {
        for (const node of fleet.members) {
          const found = await new PrometheusApi(node.url).raw(`${deletedName}[1h]`, timestampMs + 1);
          if (found.length > 0) journal.violated(`${found.length} deleted series are back at ${node.name}`);
        }
      };
      await check();
      const refusal = await writeDeleted(away, timestampMs).catch(String);
      if (!String(refusal).includes('deleted')) journal.violated(`what was deleted is taken again: ${refusal}`);
      stage.lastChecks.push(check);
    },
  };
}
