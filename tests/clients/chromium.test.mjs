import { pageTests } from './lib/page-tests.mjs';

pageTests('chromium');
