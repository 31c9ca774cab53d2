// A whole node in the calling thread, for tests: real HTTP and kernels, a simulated disk, no worker threads. Test-only.
import { SocketHttp } from '../node/http/index.ts';
import { NodeAesGcm, NodeNetwork, SystemClock, SystemRandom } from '../node/index.ts';
import type { Log } from '../ports/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { loadTestModule } from '../wasm/test-modules.ts';
import { encodeWriteRequest, wrapSnappy, type WriteSeries } from '../wire/index.ts';
import { parseConfig } from './config.ts';
import { InlineWorkers } from './inline-workers.ts';
import type { OptionName } from './options.ts';
import { type StartedNode, startNode } from './node.ts';

/** Keeps warnings and errors, which a test may expect or refuse. */
export class TestLog implements Log {
  readonly lines: { readonly level: string; readonly event: string; readonly fields: unknown }[] = [];

  debug(): void {}

  info(): void {}

  warn(event: string, fields?: unknown): void {
    this.lines.push({ level: 'warn', event, fields });
  }

  error(event: string, fields?: unknown): void {
    this.lines.push({ level: 'error', event, fields });
  }

  child(): Log {
    return this;
  }
}

export interface TestNode {
  readonly node: StartedNode;
  readonly url: string;
  readonly disk: SimDisk;
  readonly log: TestLog;
}

/** On `disk` what an earlier node has left. The caller closes the node. */
export async function startTestNode(
  disk = new SimDisk(),
  given: Readonly<Partial<Record<OptionName, string>>> = {},
): Promise<TestNode> {
  const log = new TestLog();
  const clock = new SystemClock();
  const ports = {
    clock,
    random: new SystemRandom(),
    log,
    network: new NodeNetwork(),
    cipher: new NodeAesGcm(),
    openDisk: () => disk,
    lowerThreadPriority: () => {},
  };
  const node = await startNode(
    parseConfig({ 'http-bind-addr': '127.0.0.1:0', 'http-advertise-addr': 'test:1', ...given }, 'box'),
    { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') },
    {
      clock,
      log,
      disk,
      http: new SocketHttp(log),
      workers: new InlineWorkers(ports),
      network: ports.network,
      random: ports.random,
      gossipKeys: () => [],
      usage: () => ({ cpuSeconds: 1.5, residentBytes: 1000 }),
    },
    {
      version: '1.2.3',
      runtimeVersion: 'v0',
      hostName: 'box',
      workingDirectory: '/',
      processorsCount: 2,
      memoryBytes: 2 ** 32,
    },
  );
  return { node, url: `http://127.0.0.1:${node.address.port}`, disk, log };
}

export const writeHeaders = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };

export function writeBody(series: readonly WriteSeries[]): Uint8Array<ArrayBuffer> {
  return wrapSnappy(encodeWriteRequest(series));
}

/** One sample of a series. */
export function oneSample(labels: Readonly<Record<string, string>>, timestampMs: number, value: number): WriteSeries {
  return { labels: Object.entries(labels).flat(), timestampsMs: [timestampMs], values: Float64Array.of(value) };
}

export function postWrite(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = writeHeaders,
): Promise<Response> {
  return fetch(`${url}/api/v1/write`, { method: 'POST', headers, body });
}
