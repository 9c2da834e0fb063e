// What a page does beyond being read. Without this everything can still be read and sent.
'use strict';
