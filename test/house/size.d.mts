export declare function size(): Promise<{
  readonly bytes: number;
  readonly budget: number;
  readonly faults: readonly string[];
}>;
