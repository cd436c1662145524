-- A small warehouse in the form of OMOP CDM 5.4, for SQLite: invented persons, and the concepts that schema.json asks for.
-- The first person is the one of bundle.json. Concepts from 2000000001 on are of the hospital's own vocabulary.

CREATE TABLE person (
    person_id integer NOT NULL, gender_concept_id integer NOT NULL, year_of_birth integer NOT NULL,
    month_of_birth integer, day_of_birth integer, birth_datetime timestamp, race_concept_id integer NOT NULL,
    ethnicity_concept_id integer NOT NULL, location_id integer, provider_id integer, care_site_id integer,
    person_source_value varchar(50), gender_source_value varchar(50), gender_source_concept_id integer,
    race_source_value varchar(50), race_source_concept_id integer, ethnicity_source_value varchar(50),
    ethnicity_source_concept_id integer
);
CREATE TABLE observation_period (
    observation_period_id integer NOT NULL, person_id integer NOT NULL,
    observation_period_start_date date NOT NULL, observation_period_end_date date NOT NULL,
    period_type_concept_id integer NOT NULL
);
CREATE TABLE condition_occurrence (
    condition_occurrence_id integer NOT NULL, person_id integer NOT NULL,
    condition_concept_id integer NOT NULL, condition_start_date date NOT NULL,
    condition_start_datetime timestamp, condition_end_date date, condition_end_datetime timestamp,
    condition_type_concept_id integer NOT NULL, condition_status_concept_id integer, stop_reason varchar(20),
    provider_id integer, visit_occurrence_id integer, visit_detail_id integer,
    condition_source_value varchar(50), condition_source_concept_id integer,
    condition_status_source_value varchar(50)
);
CREATE TABLE drug_exposure (
    drug_exposure_id integer NOT NULL, person_id integer NOT NULL, drug_concept_id integer NOT NULL,
    drug_exposure_start_date date NOT NULL, drug_exposure_start_datetime timestamp,
    drug_exposure_end_date date NOT NULL, drug_exposure_end_datetime timestamp, verbatim_end_date date,
    drug_type_concept_id integer NOT NULL, stop_reason varchar(20), refills integer, quantity numeric,
    days_supply integer, sig text, route_concept_id integer, lot_number varchar(50), provider_id integer,
    visit_occurrence_id integer, visit_detail_id integer, drug_source_value varchar(50),
    drug_source_concept_id integer, route_source_value varchar(50), dose_unit_source_value varchar(50)
);
CREATE TABLE drug_era (
    drug_era_id integer NOT NULL, person_id integer NOT NULL, drug_concept_id integer NOT NULL,
    drug_era_start_date date NOT NULL, drug_era_end_date date NOT NULL, drug_exposure_count integer,
    gap_days integer
);
CREATE TABLE measurement (
    measurement_id integer NOT NULL, person_id integer NOT NULL, measurement_concept_id integer NOT NULL,
    measurement_date date NOT NULL, measurement_datetime timestamp, measurement_time varchar(10),
    measurement_type_concept_id integer NOT NULL, operator_concept_id integer, value_as_number numeric,
    value_as_concept_id integer, unit_concept_id integer, range_low numeric, range_high numeric,
    provider_id integer, visit_occurrence_id integer, visit_detail_id integer,
    measurement_source_value varchar(50), measurement_source_concept_id integer,
    unit_source_value varchar(50), unit_source_concept_id integer, value_source_value varchar(50),
    measurement_event_id integer, meas_event_field_concept_id integer
);
CREATE TABLE observation (
    observation_id integer NOT NULL, person_id integer NOT NULL, observation_concept_id integer NOT NULL,
    observation_date date NOT NULL, observation_datetime timestamp,
    observation_type_concept_id integer NOT NULL, value_as_number numeric, value_as_string varchar(60),
    value_as_concept_id integer, qualifier_concept_id integer, unit_concept_id integer, provider_id integer,
    visit_occurrence_id integer, visit_detail_id integer, observation_source_value varchar(50),
    observation_source_concept_id integer, unit_source_value varchar(50), qualifier_source_value varchar(50),
    value_source_value varchar(50), observation_event_id integer, obs_event_field_concept_id integer
);
CREATE TABLE death (
    person_id integer NOT NULL, death_date date NOT NULL, death_datetime timestamp,
    death_type_concept_id integer, cause_concept_id integer, cause_source_value varchar(50),
    cause_source_concept_id integer
);
CREATE TABLE concept (
    concept_id integer NOT NULL, concept_name varchar(255) NOT NULL, domain_id varchar(20) NOT NULL,
    vocabulary_id varchar(20) NOT NULL, concept_class_id varchar(20) NOT NULL, standard_concept varchar(1),
    concept_code varchar(50) NOT NULL, valid_start_date date NOT NULL, valid_end_date date NOT NULL,
    invalid_reason varchar(1)
);
CREATE TABLE concept_relationship (
    concept_id_1 integer NOT NULL, concept_id_2 integer NOT NULL, relationship_id varchar(20) NOT NULL,
    valid_start_date date NOT NULL, valid_end_date date NOT NULL, invalid_reason varchar(1)
);
CREATE TABLE concept_ancestor (
    ancestor_concept_id integer NOT NULL, descendant_concept_id integer NOT NULL,
    min_levels_of_separation integer NOT NULL, max_levels_of_separation integer NOT NULL
);
CREATE TABLE cohort (
    cohort_definition_id integer NOT NULL, subject_id integer NOT NULL, cohort_start_date date NOT NULL,
    cohort_end_date date NOT NULL
);

INSERT INTO concept (concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, standard_concept, concept_code, valid_start_date, valid_end_date) VALUES
    (3004249, 'Systolic blood pressure', 'Measurement', 'LOINC', 'any', 'S', '8480-6', '1970-01-01', '2099-12-31'),
    (3027114, 'Cholesterol [Mass/volume] in Serum or Plasma', 'Measurement', 'LOINC', 'any', 'S', '2093-3', '1970-01-01', '2099-12-31'),
    (8876, 'millimeter mercury column', 'Unit', 'UCUM', 'any', 'S', 'mm[Hg]', '1970-01-01', '2099-12-31'),
    (8840, 'milligram per deciliter', 'Unit', 'UCUM', 'any', 'S', 'mg/dL', '1970-01-01', '2099-12-31'),
    (8483, 'counts per minute', 'Unit', 'UCUM', 'any', 'S', '/min', '1970-01-01', '2099-12-31'),
    (8588, 'millimeter', 'Unit', 'UCUM', 'any', 'S', 'mm', '1970-01-01', '2099-12-31'),
    (4188539, 'Yes', 'Meas Value', 'SNOMED', 'any', 'S', '373066001', '1970-01-01', '2099-12-31'),
    (4188540, 'No', 'Meas Value', 'SNOMED', 'any', 'S', '373067005', '1970-01-01', '2099-12-31'),
    (2000000001, 'Chest pain type', 'Observation', 'Heart disease', 'any', NULL, 'cp', '1970-01-01', '2099-12-31'),
    (2000000002, 'no chest pain', 'Meas Value', 'Heart disease', 'any', NULL, 'cp-asymptomatic', '1970-01-01', '2099-12-31'),
    (2000000003, 'typical angina', 'Meas Value', 'Heart disease', 'any', NULL, 'cp-typical-angina', '1970-01-01', '2099-12-31'),
    (2000000004, 'Fasting blood sugar above 120 mg/dL', 'Observation', 'Heart disease', 'any', NULL, 'fbs', '1970-01-01', '2099-12-31'),
    (2000000005, 'Resting electrocardiogram result', 'Observation', 'Heart disease', 'any', NULL, 'restecg', '1970-01-01', '2099-12-31'),
    (2000000006, 'normal', 'Meas Value', 'Heart disease', 'any', NULL, 'restecg-normal', '1970-01-01', '2099-12-31'),
    (2000000007, 'ST-T wave abnormality', 'Meas Value', 'Heart disease', 'any', NULL, 'restecg-st-t-abnormality', '1970-01-01', '2099-12-31'),
    (2000000008, 'Maximum heart rate achieved in exercise test', 'Measurement', 'Heart disease', 'any', NULL, 'thalch', '1970-01-01', '2099-12-31'),
    (2000000009, 'Angina induced by exercise', 'Observation', 'Heart disease', 'any', NULL, 'exang', '1970-01-01', '2099-12-31'),
    (2000000010, 'ST depression induced by exercise', 'Measurement', 'Heart disease', 'any', NULL, 'oldpeak', '1970-01-01', '2099-12-31');
INSERT INTO person (person_id, gender_concept_id, year_of_birth, month_of_birth, day_of_birth, race_concept_id, ethnicity_concept_id, person_source_value) VALUES
    (1, 8507, 1961, 10, 14, 0, 0, 'P-0001'),
    (2, 8532, 1959, 3, 2, 0, 0, 'P-0002'),
    (3, 8507, 1957, 4, 3, 0, 0, 'P-0003'),
    (4, 8507, 1955, 5, 4, 0, 0, 'P-0004'),
    (5, 8532, 1953, 6, 5, 0, 0, 'P-0005'),
    (6, 8507, 1951, 7, 6, 0, 0, 'P-0006'),
    (7, 8532, 1949, 8, 7, 0, 0, 'P-0007'),
    (8, 8507, 1947, 9, 8, 0, 0, 'P-0008'),
    (9, 8507, 1945, 10, 9, 0, 0, 'P-0009'),
    (10, 8532, 1943, 11, 10, 0, 0, 'P-0010'),
    (11, 8532, 1941, 12, 11, 0, 0, 'P-0011'),
    (12, 8507, 1939, 1, 12, 0, 0, 'P-0012');
INSERT INTO observation_period (observation_period_id, person_id, observation_period_start_date, observation_period_end_date, period_type_concept_id) VALUES
    (1, 1, '2018-01-01', '2026-12-31', 32817),
    (2, 2, '2018-01-01', '2026-12-31', 32817),
    (3, 3, '2018-01-01', '2026-12-31', 32817),
    (4, 4, '2018-01-01', '2026-12-31', 32817),
    (5, 5, '2018-01-01', '2026-12-31', 32817),
    (6, 6, '2018-01-01', '2026-12-31', 32817),
    (7, 7, '2018-01-01', '2026-12-31', 32817),
    (8, 8, '2018-01-01', '2026-12-31', 32817),
    (9, 9, '2018-01-01', '2026-12-31', 32817),
    (10, 10, '2018-01-01', '2026-12-31', 32817),
    (11, 11, '2018-01-01', '2026-12-31', 32817),
    (12, 12, '2018-01-01', '2026-12-31', 32817);
INSERT INTO measurement (measurement_id, person_id, measurement_concept_id, measurement_source_concept_id, measurement_date, measurement_datetime, measurement_type_concept_id, value_as_number, unit_concept_id) VALUES
    (1, 1, 3004249, 0, '2026-03-02', '2026-03-02 08:40:00', 32817, 144, 8876),
    (2, 1, 3027114, 0, '2026-03-02', '2026-03-02 08:40:00', 32817, NULL, 8840),
    (3, 1, 0, 2000000008, '2026-03-02', '2026-03-02 08:40:00', 32817, 122, 8483),
    (4, 1, 0, 2000000010, '2026-03-02', '2026-03-02 08:40:00', 32817, 1, 8588),
    (5, 2, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 124, 8876),
    (6, 2, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 166, 8483),
    (7, 2, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.2, 8588),
    (8, 3, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 127, 8876),
    (9, 3, 3027114, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 211, 8840),
    (10, 3, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 164, 8483),
    (11, 3, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.3, 8588),
    (12, 4, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 130, 8876),
    (13, 4, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 162, 8483),
    (14, 4, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.4, 8588),
    (15, 5, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 133, 8876),
    (16, 5, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 160, 8483),
    (17, 5, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.5, 8588),
    (18, 6, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 136, 8876),
    (19, 6, 3027114, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 232, 8840),
    (20, 6, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 158, 8483),
    (21, 6, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.6, 8588),
    (22, 7, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 139, 8876),
    (23, 7, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 156, 8483),
    (24, 7, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.7, 8588),
    (25, 8, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 142, 8876),
    (26, 8, 3027114, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 246, 8840),
    (27, 8, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 154, 8483),
    (28, 8, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.8, 8588),
    (29, 9, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 145, 8876),
    (30, 9, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 152, 8483),
    (31, 9, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 0.9, 8588),
    (32, 10, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 148, 8876),
    (33, 10, 3027114, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 260, 8840),
    (34, 10, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 150, 8483),
    (35, 10, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 1.0, 8588),
    (36, 11, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 151, 8876),
    (37, 11, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 148, 8483),
    (38, 11, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 1.1, 8588),
    (39, 12, 3004249, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 154, 8876),
    (40, 12, 3027114, 0, '2026-01-15', '2026-01-15 10:15:00', 32817, 274, 8840),
    (41, 12, 0, 2000000008, '2026-01-15', '2026-01-15 10:15:00', 32817, 146, 8483),
    (42, 12, 0, 2000000010, '2026-01-15', '2026-01-15 10:15:00', 32817, 1.2, 8588);
INSERT INTO observation (observation_id, person_id, observation_concept_id, observation_source_concept_id, observation_date, observation_datetime, observation_type_concept_id, value_as_concept_id) VALUES
    (1, 1, 0, 2000000001, '2026-03-02', '2026-03-02 08:40:00', 32817, 2000000002),
    (2, 1, 0, 2000000004, '2026-03-02', '2026-03-02 08:40:00', 32817, 4188540),
    (3, 1, 0, 2000000005, '2026-03-02', '2026-03-02 08:40:00', 32817, 2000000007),
    (4, 1, 0, 2000000009, '2026-03-02', '2026-03-02 08:40:00', 32817, 4188539),
    (5, 2, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (6, 2, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (7, 2, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (8, 2, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (9, 3, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000003),
    (10, 3, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (11, 3, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (12, 3, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188539),
    (13, 4, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (14, 4, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (15, 4, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (16, 4, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (17, 5, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (18, 5, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (19, 5, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (20, 5, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188539),
    (21, 6, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000003),
    (22, 6, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (23, 6, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (24, 6, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (25, 7, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (26, 7, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (27, 7, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (28, 7, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188539),
    (29, 8, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (30, 8, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (31, 8, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (32, 8, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (33, 9, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000003),
    (34, 9, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (35, 9, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (36, 9, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188539),
    (37, 10, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (38, 10, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (39, 10, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (40, 10, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (41, 11, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000002),
    (42, 11, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (43, 11, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (44, 11, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188539),
    (45, 12, 0, 2000000001, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000003),
    (46, 12, 0, 2000000004, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540),
    (47, 12, 0, 2000000005, '2026-01-15', '2026-01-15 10:15:00', 32817, 2000000006),
    (48, 12, 0, 2000000009, '2026-01-15', '2026-01-15 10:15:00', 32817, 4188540);
INSERT INTO cohort (cohort_definition_id, subject_id, cohort_start_date, cohort_end_date) VALUES
    (1, 1, '2026-03-02', '2026-03-02'),
    (1, 2, '2026-03-02', '2026-03-02'),
    (1, 3, '2026-03-02', '2026-03-02'),
    (1, 4, '2026-03-02', '2026-03-02'),
    (1, 5, '2026-03-02', '2026-03-02'),
    (1, 6, '2026-03-02', '2026-03-02'),
    (1, 7, '2026-03-02', '2026-03-02'),
    (1, 8, '2026-03-02', '2026-03-02'),
    (1, 9, '2026-03-02', '2026-03-02'),
    (1, 10, '2026-03-02', '2026-03-02'),
    (1, 11, '2026-03-02', '2026-03-02'),
    (1, 12, '2026-03-02', '2026-03-02');
