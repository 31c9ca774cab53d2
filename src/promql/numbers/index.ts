export { durationSeconds, formatDuration, parseDuration } from './duration.ts';
export { formatFixed, formatFloat, formatSampleValue, parseGoFloat, parseQueryNumber } from './float-text.ts';
export { sampleValueBytesMax, timestampBytesMax, writeSampleValue, writeTimestamp } from './sample-text.ts';
export { parseDurationParameter, parseTimestampMs } from './timestamp.ts';
export { formatGeneral } from './general-format.ts';
