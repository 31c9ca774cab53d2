/** What the process has used since its start, all threads included. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}
