// `timbala cluster …`: asks a running node over its HTTP API, and says what it answers in words.
import { dayMs, errorMessage, hourMs, secondMs, TimbalaError } from '../base/index.ts';
import type { ClusterStatusPage } from '../server/index.ts';
import type { ClusterCommand } from './arguments.ts';

/** The text to print. Throws CLUSTER_NOT_REACHED, CLUSTER_REFUSED. */
export async function runClusterCommand(
  { action, node, httpAddress, isForced }: ClusterCommand,
  timeoutMs = patienceMs,
): Promise<string> {
  const base = `http://${httpAddress}`;
  if (action === 'status') {
    const answer = await ask(`${base}/api/v1/status/cluster`, 'GET', timeoutMs);
    return statusText(pageOf(answer, httpAddress));
  }
  if (action === 'decommission') {
    await ask(`${base}/api/v1/admin/cluster/decommission?force=${isForced}`, 'POST', timeoutMs);
    return `The node at ${httpAddress} hands over what it holds. Stop it when its state is "left": timbala cluster status.\n`;
  }
  await ask(`${base}/api/v1/admin/cluster/remove?node=${encodeURIComponent(node)}`, 'POST', timeoutMs);
  return `${node} is given up; what it held is made up for from the other copies (timbala cluster status).\n`;
}

/** Answers take seconds at most: a node that is given up is waited for two. */
const patienceMs = 20 * secondMs;

async function ask(url: string, method: string, timeoutMs: number): Promise<string> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { method, signal: AbortSignal.timeout(timeoutMs) });
    body = await response.text();
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    throw new TimbalaError('CLUSTER_NOT_REACHED', `${url}: ${errorMessage(reason)}; name a node by --http-addr`);
  }
  if (response.ok) return body;
  throw new TimbalaError('CLUSTER_REFUSED', errorText(body) ?? `${url} answered ${response.status}`);
}

function pageOf(answer: string, httpAddress: string): ClusterStatusPage {
  try {
    const { data } = JSON.parse(answer) as { data?: ClusterStatusPage };
    if (data?.state !== undefined) return data;
  } catch {
    // Some other server's page.
  }
  throw new TimbalaError('CLUSTER_REFUSED', `what answers at ${httpAddress} is no Timbala; name a node by --http-addr`);
}

function errorText(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { error?: string }).error;
  } catch {
    return undefined;
  }
}

/** Exported for tests. */
export function statusText(page: ClusterStatusPage): string {
  if (page.state === 'standalone')
    return 'This node stands alone: it was started without --peers and --gossip-bind-addr.\n';
  const { name, state, isReady, clusterId, marks, partitions, retentionMs } = page;
  const lines = [`node      ${name}: ${state ?? ''}${isReady ? '' : ', not ready'}`];
  if (clusterId !== undefined) lines.push(`cluster   ${clusterId}`);
  if (retentionMs !== undefined) {
    lines.push(`retention ${retentionMs === 0 ? 'for ever' : durationText(retentionMs)}`);
  }
  if (marks && partitions) {
    lines.push(
      `holds     ${partitions.held} partitions, owns ${partitions.owned}; ${marks.marksCount} marks, ${marks.dueCount} due`,
    );
  }
  if (page.members.length > 0) lines.push('', ...memberRows(page));
  const advice = adviceFor(page);
  const unhealed = page.losses.filter(({ isHealed }) => !isHealed).length;
  lines.push('', ...(page.underWay.length > 0 ? page.underWay.map((line) => `- ${line}`) : ['nothing is under way']));
  if (unhealed > 0) lines.push(`${unhealed} lost stores are not made up for yet: do not lose another`);
  if (advice) lines.push(advice);
  return `${lines.join('\n')}\n`;
}

function durationText(durationMs: number): string {
  if (durationMs >= 2 * dayMs) return `${Math.round(durationMs / dayMs)} days`;
  return `${Math.round((durationMs / hourMs) * 10) / 10} hours`;
}

/** For a node that will not be ready by waiting. */
function adviceFor({ state, partitions }: ClusterStatusPage): string | undefined {
  const held = partitions?.held ?? 0;
  if (state === 'left') return 'This node has left and holds nothing: stop it, and delete its data directory';
  if (state !== 'removed' && state !== 'replaced') return undefined;
  const why = state === 'removed' ? 'was given up by an operator' : 'gave its name to another one';
  const then = held > 0 ? `hands over ${held} partitions first` : 'holds nothing any more';
  return `This store ${why}, and acknowledges nothing: it ${then}; then stop it, and delete its data directory`;
}

function memberRows({ members }: ClusterStatusPage): string[] {
  const rows = members.map(({ name, state, isAlive, zone, address, isSelf }) => [
    isSelf ? `${name} *` : name,
    state,
    isAlive === undefined ? 'unknown' : isAlive ? 'alive' : 'dead?',
    zone || '-',
    address,
  ]);
  const table = [['NODE', 'STATE', 'GOSSIP', 'ZONE', 'PEER ADDRESS'], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
