// What nodes say to each other before they are of a cluster: who is there, of which cluster, whom else to ask; and whether it
// may found one (candidacy.ts). Members answer the same question with their record (exchange.ts).
import { ByteReader, ByteWriter, TimbalaError } from '../base/index.ts';
import { list, optional, struct, text } from './codec.ts';
import type { NodeName, PeerLinks, StoreId } from './contracts.ts';
import { replyHeader, requestHeader } from './messages.ts';
import { ClusterRecord } from './record/index.ts';

const topic = 'join';
/** What follows the header of a reply. */
const details = struct({ acquaintances: list(text), formerCluster: optional(text) });

/** Who asks for leave to found a cluster. */
export interface Claimant {
  readonly store: StoreId;
  readonly address: string;
}

/** What a node hears of another. */
export interface Introduction {
  readonly store: StoreId;
  /** Undefined where it is of no cluster. */
  readonly record: ClusterRecord | undefined;
  /** Where it looks for a cluster itself. */
  readonly acquaintances: readonly string[];
  /** Of which cluster it was as another store (its directory is a copy, or has lost records); undefined: of none. */
  readonly formerCluster: string | undefined;
}

/** What a node of no cluster says of itself. */
export interface Standing {
  /** It founds or joins one just now; or does not leave it to the claimant. */
  readonly isRefusing: boolean;
  readonly acquaintances: readonly string[];
  readonly formerCluster: string | undefined;
}

/** Answers everybody that this node is of no cluster, and whom it asks; claimants whether they may found one. */
export function answerWithoutCluster(
  links: PeerLinks,
  store: StoreId,
  standing: (claimant: Claimant | undefined) => Standing,
): void {
  links.onRequest = async (_from, { kind, body }) => {
    const reader = new ByteReader(body);
    const isIntroduction = reader.string() === topic;
    const { store: claimant } = requestHeader.read(reader);
    // Members call by a name of which they know, whoever has it now; they want nothing that this node could give.
    const isClaim = isIntroduction && claimant !== '';
    const { isRefusing, ...told } = standing(isClaim ? { store: claimant, address: reader.string() } : undefined);
    const writer = new ByteWriter();
    replyHeader.write(writer, {
      status: 'refused',
      store,
      viewHash: '',
      record: undefined,
      sentMs: 0,
      life: undefined,
      code: isRefusing ? 'CLUSTER_FOUNDING' : 'CLUSTER_NONE',
      reason: isRefusing ? 'another founds a cluster, or this node is about to be of one' : 'of no cluster yet',
    });
    details.write(writer, told);
    return { kind, body: writer.copy() };
  };
}

/**
 * Asks who is there, without being of a cluster; as a claimant, for leave to found one. Throws PEER_…, CLUSTER_FOUNDING, and what
 * the other refuses with.
 */
export async function introduce(
  links: PeerLinks,
  to: NodeName,
  deadlineMs: number,
  claimant: Claimant = { store: '', address: '' },
): Promise<Introduction> {
  const writer = new ByteWriter();
  writer.string(topic);
  requestHeader.write(writer, {
    clusterId: '',
    store: claimant.store,
    recordHash: '',
    record: undefined,
    sentMs: 0,
    life: undefined,
  });
  writer.string(claimant.address);
  const frame = await links.request(to, { kind: 'hello', body: writer.copy() }, deadlineMs);
  const reader = new ByteReader(frame.body);
  const { store, record, code, reason } = replyHeader.read(reader);
  if (record) return { store, record: ClusterRecord.decode(record), acquaintances: [], formerCluster: undefined };
  if (code !== 'CLUSTER_NONE') throw new TimbalaError(code, `${to}: ${reason}`);
  return { store, record: undefined, ...details.read(reader) };
}
