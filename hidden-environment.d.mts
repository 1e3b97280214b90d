type Environment = Record<string, string | undefined>;

export function hideEnvironment(env: Environment): {
  readonly values: Environment;
  readonly isHidden: boolean;
};
