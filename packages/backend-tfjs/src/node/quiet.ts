// Keeps TensorFlow and TensorFlow.js from greeting on the terminal while they are loaded. Errors still arrive as errors.

/**
 * TensorFlow logs to standard error what it finds and misses on the machine, unless this was set before; what matters of it is in the
 * description of the backend, and what fails is thrown.
 */
export function silenceTensorflow(env: NodeJS.ProcessEnv): void {
  env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';
}

/** Two copies of tfjs-core in one process share one registry, and warn of every kernel that the other has put there. */
export function withoutRepeats<T>(load: () => T): T {
  const { warn } = console;
  console.warn = (...parts: unknown[]) => {
    if (!/already (been )?(registered|set)/.test(String(parts[0]))) warn(...parts);
  };
  try {
    return load();
  } finally {
    console.warn = warn;
  }
}
