// backend-cpu against itself: its kernels over junk and repeated, and every fallback of core against its fused kernels.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { runConformance } from '@xmoe/testing';

runConformance({ describe, it, expect }, 'cpu', () => createCpuBackend());
