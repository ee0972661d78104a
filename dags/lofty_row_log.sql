-- What became of every row, in every try of every run. The table is made when it is not there yet.
CREATE TABLE IF NOT EXISTS lofty_row_log (
    task_instance varchar(20) NOT NULL, -- a digest of Dag, run, task and map index, as in the name of the report
    try_number integer NOT NULL,
    report_row bigint NOT NULL, -- from 1, in the order of the report
    dag_id varchar(250) NOT NULL,
    run_id varchar(250) NOT NULL,
    run_at timestamp with time zone NOT NULL,
    lofty_source text,
    lofty_row_number bigint,
    lofty_line bigint,
    lofty_outcome varchar(20) NOT NULL,
    lofty_lead_id bigint,
    lofty_http_status integer,
    lofty_error_code integer,
    lofty_error_field varchar(100),
    lofty_error text,
    lofty_attempts integer,
    lofty_sent_at timestamp with time zone,
    lofty_fingerprint varchar(100),
    lofty_matched_by varchar(20), -- what found the lead, where it was looked for
    PRIMARY KEY (task_instance, try_number, report_row)
)
