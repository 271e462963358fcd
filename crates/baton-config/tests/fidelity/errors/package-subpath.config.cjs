require('closed/inner');
