// A series in a generation: its runs, and what happens to late samples. A sample joins the run with the latest end before it;
// where there is none it opens a run, up to four; after that it goes to a buffer, which is written out as sorted chunks when
// it is full. So in-order senders cost one run, a few interleaved ones a run each, and any disorder stays bounded.
//
// extra run  {run, next u32, buffer u32 (in the first only)}
// buffer     {run of the chunks written out, count u32, 4 bytes, samples {timestamp i64, value u64}}
import {
  ACTIVE,
  addState,
  allocate,
  ensureGeneration,
  GENERATION_BUFFERS,
  GENERATION_CROWDED,
  GENERATION_MAX,
  GENERATION_MIN,
  GENERATION_SAMPLES,
  GENERATION_SLAB_MAX,
  GENERATION_STATE,
  generationAt,
  hasRefPage,
  STATE_EXTRA,
  stateEntry,
} from './generation';
import { REF_REJECTED, SERIES_COUNT } from './layout';
import { compareValues } from './merge';
import { appendToRun, beginChunk, CHUNK_BYTES, RUN_BYTES, RUN_CHUNK, RUN_LAST, RUN_VALUE } from './run';

export const EXTRA_NEXT: usize = RUN_BYTES;
export const EXTRA_BUFFER: usize = RUN_BYTES + 4;
const EXTRA_BYTES: u32 = <u32>RUN_BYTES + 8;
const EXTRA_RUNS_MAX: u32 = 3;

export const BUFFER_COUNT: usize = RUN_BYTES;
export const BUFFER_SAMPLES: usize = RUN_BYTES + 8;
const BUFFER_SAMPLES_MAX: u32 = 32;
export const SAMPLE_BYTES: u32 = 16;
const BUFFER_BYTES: u32 = <u32>BUFFER_SAMPLES + BUFFER_SAMPLES_MAX * SAMPLE_BYTES;

/** Timestamps beyond this are not exact as numbers elsewhere. */
const TIMESTAMP_MAX: i64 = 9007199254740991;

// What an append may allocate at most, besides states. A row: one slab, as large as earlier batches made it. A sample: a chunk
// and its share of slabs, in a run that it opens. A buffer that gets full: a chunk for each of its samples.
const CHUNK_SHARE_BYTES_MAX: u32 = CHUNK_BYTES + 32;
const SAMPLE_BYTES_MAX: u32 = CHUNK_SHARE_BYTES_MAX + EXTRA_BYTES;
const FLUSH_BYTES_MAX: u32 = BUFFER_SAMPLES_MAX * CHUNK_SHARE_BYTES_MAX;

// Results of `append`.
export const APPENDED: u32 = 0;
export const APPEND_FULL: u32 = 1;
export const APPEND_BAD_BATCH: u32 = 2;
export const APPEND_NOT_ACTIVE: u32 = 3;

/**
 * Appends a staged batch: all, or nothing. `firstUsed` receives the references that the generation meets for the first time;
 * `counts` receives {appended u32, duplicates u32, first used u32}.
 */
export function append(
  slot: u32,
  rows: u32,
  samples: u32,
  refs: usize,
  samplesEnd: usize,
  timestamps: usize,
  values: usize,
  firstUsed: usize,
  counts: usize,
): u32 {
  const generation = generationAt(slot);
  if (load<u32>(generation, GENERATION_STATE) != ACTIVE) return APPEND_NOT_ACTIVE;
  const refPages = checkRows(generation, rows, samples, refs, samplesEnd);
  if (refPages < 0 || !checkTimestamps(samples, timestamps)) return APPEND_BAD_BATCH;
  if (!ensureGeneration(allocatedMax(generation, rows, samples), rows, refPages)) return APPEND_FULL;

  let first: u32 = 0;
  let appended: u32 = 0;
  let duplicates: u32 = 0;
  let sample: u32 = 0;
  let minTimestamp = load<i64>(generation, GENERATION_MIN);
  let maxTimestamp = load<i64>(generation, GENERATION_MAX);
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (ref >= REF_REJECTED || sample == end) {
      sample = end;
      continue;
    }
    const entry = stateEntry(generation, ref);
    let state = <usize>load<u32>(entry);
    if (state == 0) {
      state = addState(generation, ref);
      atomic.store<u32>(entry, <u32>state);
      store<u32>(firstUsed + (<usize>first << 2), ref);
      first++;
    }
    for (; sample < end; sample++) {
      const timestamp = load<i64>(timestamps + (<usize>sample << 3));
      const value = load<u64>(values + (<usize>sample << 3));
      minTimestamp = min(minTimestamp, timestamp);
      maxTimestamp = max(maxTimestamp, timestamp);
      if (load<u32>(state, RUN_CHUNK) == 0) {
        beginChunk(generation, state, timestamp, value);
      } else if (timestamp > load<i64>(state, RUN_LAST)) {
        appendToRun(generation, state, timestamp, value);
      } else if (!appendLate(generation, state, timestamp, value)) {
        duplicates++;
        continue;
      }
      appended++;
    }
  }
  store<i64>(generation, minTimestamp, GENERATION_MIN);
  store<i64>(generation, maxTimestamp, GENERATION_MAX);
  store<u64>(generation, load<u64>(generation, GENERATION_SAMPLES) + appended, GENERATION_SAMPLES);
  store<u32>(counts, appended);
  store<u32>(counts, duplicates, 4);
  store<u32>(counts, first, 8);
  return APPENDED;
}

function allocatedMax(generation: usize, rows: u32, samples: u32): u64 {
  const flushes = min(rows, load<u32>(generation, GENERATION_BUFFERS)) + samples / BUFFER_SAMPLES_MAX;
  // A series is crowded after three late samples; only then may the next one need a buffer.
  const buffers = min(rows, load<u32>(generation, GENERATION_CROWDED)) + samples / (EXTRA_RUNS_MAX + 1);
  return (
    <u64>rows * load<u32>(generation, GENERATION_SLAB_MAX) +
    <u64>samples * SAMPLE_BYTES_MAX +
    <u64>flushes * FLUSH_BYTES_MAX +
    <u64>buffers * BUFFER_BYTES
  );
}

/** Checks references and sample ranges; returns how many pages of references may have to be made, or -1. */
function checkRows(generation: usize, rows: u32, samples: u32, refs: usize, samplesEnd: usize): i32 {
  const seriesCount = load<u32>(SERIES_COUNT);
  let before: u32 = 0;
  let refPages = 0;
  let lastPage: u32 = u32.MAX_VALUE;
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (end < before || end > samples) return -1;
    before = end;
    if (ref >= REF_REJECTED) continue;
    if (ref >= seriesCount) return -1;
    // Counts a page again whenever rows come back to it: harmless, and pages are few.
    if (ref >> 16 != lastPage) {
      lastPage = ref >> 16;
      if (!hasRefPage(generation, ref)) refPages++;
    }
  }
  return min(refPages, 1 + <i32>(seriesCount >> 16));
}

/** False where a timestamp is beyond what numbers elsewhere can say: `append` refuses such a batch. */
export function checkTimestamps(samples: u32, timestamps: usize): bool {
  for (let i: u32 = 0; i < samples; i++) {
    const timestamp = load<i64>(timestamps + (<usize>i << 3));
    if (timestamp > TIMESTAMP_MAX || timestamp < -TIMESTAMP_MAX) return false;
  }
  return true;
}

/** A sample that is not later than the first run's last one. False: it is known already. */
function appendLate(generation: usize, state: usize, timestamp: i64, value: u64): bool {
  if (timestamp == load<i64>(state, RUN_LAST) && value == load<u64>(state, RUN_VALUE)) return false;
  let best: usize = 0;
  let runs: u32 = 0;
  let link = state + STATE_EXTRA;
  for (let run = <usize>load<u32>(link); run != 0; run = load<u32>(link)) {
    const last = load<i64>(run, RUN_LAST);
    if (last == timestamp && load<u64>(run, RUN_VALUE) == value) return false;
    if (last < timestamp && (best == 0 || last > load<i64>(best, RUN_LAST))) best = run;
    link = run + EXTRA_NEXT;
    runs++;
  }
  if (best != 0) {
    appendToRun(generation, best, timestamp, value);
    return true;
  }
  if (runs < EXTRA_RUNS_MAX) {
    const run = allocate(generation, EXTRA_BYTES);
    store<u32>(link, <u32>run);
    beginChunk(generation, run, timestamp, value);
    if (runs + 1 == EXTRA_RUNS_MAX) addTo(generation + GENERATION_CROWDED, 1);
    return true;
  }
  return bufferSample(generation, load<u32>(state, STATE_EXTRA), timestamp, value);
}

function addTo(count: usize, difference: i32): void {
  store<i32>(count, load<i32>(count) + difference);
}

/** Puts a sample into the series' buffer, in timestamp order and the merge order. False: it is there already. */
function bufferSample(generation: usize, firstExtra: usize, timestamp: i64, value: u64): bool {
  let buffer = <usize>load<u32>(firstExtra, EXTRA_BUFFER);
  if (buffer == 0) {
    buffer = allocate(generation, BUFFER_BYTES);
    store<u32>(firstExtra, <u32>buffer, EXTRA_BUFFER);
    addTo(generation + GENERATION_BUFFERS, 1);
    addTo(generation + GENERATION_CROWDED, -1);
  }
  const samples = buffer + BUFFER_SAMPLES;
  const count = load<u32>(buffer, BUFFER_COUNT);
  let index = count;
  while (index > 0) {
    const other = samples + <usize>((index - 1) * SAMPLE_BYTES);
    const otherTimestamp = load<i64>(other);
    if (otherTimestamp < timestamp) break;
    if (otherTimestamp == timestamp) {
      const order = compareValues(load<u64>(other, 8), value);
      if (order == 0) return false;
      if (order < 0) break;
    }
    index--;
  }
  const at = samples + <usize>(index * SAMPLE_BYTES);
  memory.copy(at + SAMPLE_BYTES, at, <usize>((count - index) * SAMPLE_BYTES));
  store<i64>(at, timestamp);
  store<u64>(at, value, 8);
  store<u32>(buffer, count + 1, BUFFER_COUNT);
  if (count + 1 == BUFFER_SAMPLES_MAX) writeBuffer(generation, buffer);
  return true;
}

/** Writes a full buffer out as chunks; of one timestamp, the value that wins. */
function writeBuffer(generation: usize, buffer: usize): void {
  const count = load<u32>(buffer, BUFFER_COUNT);
  let begun = false;
  for (let i: u32 = 0; i < count; i++) {
    const sample = buffer + BUFFER_SAMPLES + <usize>(i * SAMPLE_BYTES);
    const timestamp = load<i64>(sample);
    if (i + 1 < count && load<i64>(sample, 16) == timestamp) continue;
    // The run may go back in time from one buffer to the next: each begins a chunk.
    if (begun) appendToRun(generation, buffer, timestamp, load<u64>(sample, 8));
    else beginChunk(generation, buffer, timestamp, load<u64>(sample, 8));
    begun = true;
  }
  store<u32>(buffer, 0, BUFFER_COUNT);
}
